// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertThrows;

import java.io.IOException;
import java.net.URI;
import java.security.PrivilegedExceptionAction;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.crypto.key.KeyProvider;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension;
import org.apache.hadoop.crypto.key.KeyProviderFactory;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.security.authorize.AuthorizationException;

/**
 * A user and a connection of their own. A provider keeps the cookie of whoever used it first, so users never share one.
 */
final class User {
  /** A call on the provider; the operations throw too many different things to name them. */
  interface Call<T> {
    T on(KeyProviderCryptoExtension provider) throws Exception;
  }

  private final UserGroupInformation ugi;
  private final KeyProviderCryptoExtension provider;

  User(String name, KmsServer server) throws Exception {
    this(UserGroupInformation.createRemoteUser(name), server.uri());
  }

  User(UserGroupInformation ugi, URI uri) throws Exception {
    this.ugi = ugi;
    this.provider = ugi.doAs((PrivilegedExceptionAction<KeyProviderCryptoExtension>) () -> connect(uri));
  }

  static KeyProviderCryptoExtension connect(URI uri) throws Exception {
    return connect(uri, new Configuration());
  }

  static KeyProviderCryptoExtension connect(URI uri, Configuration conf) throws Exception {
    return wrap(KeyProviderFactory.get(uri, conf));
  }

  static KeyProviderCryptoExtension wrap(KeyProvider provider) {
    return KeyProviderCryptoExtension.createKeyProviderCryptoExtension(provider);
  }

  static KeyProvider.Options options() {
    return KeyProvider.options(new Configuration());
  }

  <T> T does(Call<T> call) throws Exception {
    return ugi.doAs((PrivilegedExceptionAction<T>) () -> call.on(provider));
  }

  /** The refusal may come wrapped: generated keys pass through a queue in the client. */
  AuthorizationException refused(Call<?> call) {
    Throwable thrown = assertThrows(IOException.class, () -> does(call));
    for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
      if (cause instanceof AuthorizationException) {
        return (AuthorizationException) cause;
      }
    }
    throw new AssertionError("failed, but was not refused", thrown);
  }

  KeyProvider.KeyVersion creates(String key) throws Exception {
    return does(p -> p.createKey(key, options()));
  }
}
