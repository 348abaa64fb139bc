// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.security.PrivilegedExceptionAction;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.crypto.key.KeyProviderDelegationTokenExtension;
import org.apache.hadoop.crypto.key.KeyProviderFactory;
import org.apache.hadoop.security.Credentials;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.security.authentication.client.AuthenticationException;
import org.apache.hadoop.security.token.Token;
import org.junit.AfterClass;
import org.junit.BeforeClass;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;

/** Delegation tokens: what a job carries so that its tasks reach the server without a login. */
public class TokenTest {
  private static KmsServer server;
  private static Configuration conf;

  @Rule public final Timeout limit = Timeout.seconds(180);

  @BeforeClass
  public static void start() throws Exception {
    Able.need("tokens");
    server = new KmsServer.Setup().acl("hadoop.kms.acl.GET", "owner").start();
    conf = new Configuration();
    conf.set("hadoop.security.key.provider.path", server.uri().toString());
    new User("owner", server).creates("k");
  }

  @AfterClass
  public static void stop() throws Exception {
    KmsServer.close(server);
  }

  private static <T> T as(String user, PrivilegedExceptionAction<T> action) throws Exception {
    return UserGroupInformation.createRemoteUser(user).doAs(action);
  }

  private static Token<?> get(String user, String renewer) throws Exception {
    return as(user, () -> {
      Credentials credentials = new Credentials();
      KeyProviderDelegationTokenExtension.createKeyProviderDelegationTokenExtension(
          KeyProviderFactory.get(server.uri(), conf)).addDelegationTokens(renewer, credentials);
      // One for the provider and, for clients of older versions, the same one under the host's address.
      assertTrue(credentials.numberOfTokens() > 0);
      return credentials.getAllTokens().iterator().next();
    });
  }

  @Test
  public void aTokenOpensTheDoorForItsOwner() throws Exception {
    Token<?> token = get("owner", "renewer");
    assertEquals("kms-dt", token.getKind().toString());
    // The name of this user has no right to read; the token's owner has.
    UserGroupInformation task = UserGroupInformation.createRemoteUser("task");
    new User(task, server.uri()).refused(p -> p.getCurrentKey("k"));
    task.addToken(token);
    assertNotNull(new User(task, server.uri()).does(p -> p.getCurrentKey("k")));
  }

  @Test
  public void onlyTheRenewerRenews() throws Exception {
    Token<?> token = get("owner", "renewer");
    long until = as("renewer", () -> token.renew(conf));
    assertTrue(Long.toString(until), until > System.currentTimeMillis());
    IOException e = assertThrows(IOException.class, () -> as("thief", () -> token.renew(conf)));
    assertTrue(e.toString(), e.getMessage().contains("thief tries to renew a token"));
    assertTrue(e.toString(), e.getMessage().contains("with non-matching renewer renewer"));
  }

  @Test
  public void aCancelledTokenIsWorthNothing() throws Exception {
    Token<?> token = get("owner", "renewer");
    UserGroupInformation task = UserGroupInformation.createRemoteUser("task");
    task.addToken(token);
    assertNotNull(new User(task, server.uri()).does(p -> p.getCurrentKey("k")));
    as("owner", () -> {
      token.cancel(conf);
      return null;
    });
    // Not an IOException, so that the load balancing client wraps it into something of its own.
    Exception e = assertThrows(Exception.class, () -> new User(task, server.uri()).does(p -> p.getCurrentKey("k")));
    assertTrue(e.toString(), e.getCause() instanceof AuthenticationException);
    assertTrue(e.toString(), e.getCause().getMessage().contains("SecretManager$InvalidToken"));
    assertThrows(IOException.class, () -> as("renewer", () -> token.renew(conf)));
  }
}
