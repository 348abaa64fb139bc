// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.security.PrivilegedExceptionAction;
import java.util.Arrays;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension.EncryptedKeyVersion;
import org.apache.hadoop.crypto.key.KeyProviderDelegationTokenExtension;
import org.apache.hadoop.crypto.key.KeyProviderFactory;
import org.apache.hadoop.crypto.key.KeyShell;
import org.apache.hadoop.security.Credentials;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.security.token.Token;
import org.apache.hadoop.util.ToolRunner;
import org.junit.AfterClass;
import org.junit.Assume;
import org.junit.BeforeClass;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;

/** Logins by keytab at a real KDC; jobs that have a delegation token and no login; proxy users. */
public class KerberosTest {
  private static KmsServer server;
  private static EncryptedKeyVersion eek;
  private static byte[] dek;

  @Rule public final Timeout limit = Timeout.seconds(180);

  @BeforeClass
  public static void start() throws Exception {
    Realm.need();
    server = Realm.setup()
        .acl("hadoop.kms.acl.GET", "alice,hdfs")
        .acl("hadoop.kms.acl.DECRYPT_EEK", "alice,carol")
        .site("hadoop.kms.proxyuser.oozie.users", "carol")
        .site("hadoop.kms.proxyuser.oozie.hosts", "127.0.0.1")
        .start();
    User alice = user("alice");
    alice.creates("k");
    eek = alice.does(p -> p.generateEncryptedKey("k"));
    dek = alice.does(p -> p.decryptEncryptedKey(eek)).getMaterial();
  }

  @AfterClass
  public static void stop() throws Exception {
    KmsServer.close(server);
  }

  private static User user(String name) throws Exception {
    return new User(Realm.login(name), server.uri());
  }

  private static Configuration conf() {
    Configuration conf = Realm.conf();
    conf.set("hadoop.security.key.provider.path", server.uri().toString());
    return conf;
  }

  /** What a client fetches when it submits a job. */
  private static Credentials fetch(UserGroupInformation user, String renewer) throws Exception {
    return user.doAs((PrivilegedExceptionAction<Credentials>) () -> {
      Credentials credentials = new Credentials();
      KeyProviderDelegationTokenExtension.createKeyProviderDelegationTokenExtension(
          KeyProviderFactory.get(server.uri(), conf())).addDelegationTokens(renewer, credentials);
      assertTrue(credentials.numberOfTokens() > 0);
      return credentials;
    });
  }

  private static Token<?> token(Credentials credentials) {
    Token<?> token = credentials.getAllTokens().iterator().next();
    assertEquals("kms-dt", token.getKind().toString());
    return token;
  }

  /** A process somewhere in the cluster: no ticket, no keytab, only what the job carries. */
  private static User job(Credentials credentials) throws Exception {
    UserGroupInformation ugi = UserGroupInformation.createRemoteUser("container");
    ugi.addCredentials(credentials);
    return new User(ugi, server.uri());
  }

  private static long renew(UserGroupInformation user, Token<?> token) throws Exception {
    return user.doAs((PrivilegedExceptionAction<Long>) () -> token.renew(conf()));
  }

  private static void cancel(UserGroupInformation user, Token<?> token) throws Exception {
    user.doAs((PrivilegedExceptionAction<Void>) () -> {
      token.cancel(conf());
      return null;
    });
  }

  private static String all(Throwable thrown) {
    StringBuilder text = new StringBuilder();
    for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
      text.append(cause).append('\n');
    }
    return text.toString();
  }

  private static void fails(String reason, User.Call<?> call, User user) {
    // Not always an IOException: the load balancing client wraps what is none into something of its own.
    String text = all(assertThrows(Exception.class, () -> user.does(call)));
    assertTrue(text, text.contains(reason));
  }

  @Test
  public void aKeytabLogsIn() throws Exception {
    User alice = user("alice");
    assertNotNull(alice.does(p -> p.getCurrentKey("k")).getMaterial());
    assertArrayEquals(dek, alice.does(p -> p.decryptEncryptedKey(eek)).getMaterial());
    User bob = user("bob");
    bob.refused(p -> p.getCurrentKey("k"));
    bob.refused(p -> p.decryptEncryptedKey(eek));
    assertNotNull(bob.does(p -> p.generateEncryptedKey("k")));
  }

  /** `hadoop key`, as an administrator uses it after kinit. */
  @Test
  public void theShellWorksWithATicket() throws Exception {
    String provider = server.uri().toString();
    int code = Realm.login("alice").doAs((PrivilegedExceptionAction<Integer>) () -> {
      for (String[] args : new String[][] {{"create", "by-shell", "-size", "256"}, {"roll", "by-shell"}, {"list", "-metadata"},
          {"delete", "by-shell", "-f"}}) {
        String[] all = Arrays.copyOf(args, args.length + 2);
        all[args.length] = "-provider";
        all[args.length + 1] = provider;
        int result = ToolRunner.run(conf(), new KeyShell(), all);
        if (result != 0) {
          return result;
        }
      }
      return 0;
    });
    assertEquals(0, code);
  }

  /** The host part of a service's principal is dropped by the name rules. */
  @Test
  public void aServicesPrincipalIsItsUser() throws Exception {
    assertNotNull(user("hdfs/localhost").does(p -> p.getCurrentKey("k")).getMaterial());
  }

  @Test
  public void withoutALoginNobodyIsLetIn() throws Exception {
    User pretender = new User(UserGroupInformation.createRemoteUser("alice"), server.uri());
    assertThrows(IOException.class, () -> pretender.does(p -> p.getCurrentKey("k")));
    assertThrows(IOException.class, () -> pretender.does(p -> p.getKeys()));
  }

  @Test
  public void aJobNeedsItsTokenOnly() throws Exception {
    Able.need("tokens");
    UserGroupInformation alice = Realm.login("alice");
    UserGroupInformation yarn = Realm.login("yarn");
    Credentials credentials = fetch(alice, "yarn");
    User job = job(credentials);
    assertArrayEquals(dek, job.does(p -> p.decryptEncryptedKey(eek)).getMaterial());
    assertNotNull(job.does(p -> p.getCurrentKey("k")).getMaterial());

    Token<?> token = token(credentials);
    assertTrue(renew(yarn, token) > System.currentTimeMillis());
    for (String other : new String[] {"alice", "bob"}) {
      UserGroupInformation ugi = Realm.login(other);
      String text = all(assertThrows(IOException.class, () -> renew(ugi, token)));
      assertTrue(text, text.contains(other + " tries to renew a token"));
      assertTrue(text, text.contains("with non-matching renewer yarn"));
    }
    assertArrayEquals(dek, job(credentials).does(p -> p.decryptEncryptedKey(eek)).getMaterial());

    cancel(yarn, token);
    fails("can't be found in cache", p -> p.decryptEncryptedKey(eek), job(credentials));
    fails("can't be found in cache", p -> p.getKeys(), job);
    String text = all(assertThrows(IOException.class, () -> renew(yarn, token)));
    assertTrue(text, text.contains("unknown token"));
  }

  @Test
  public void theOwnerMayEndAToken() throws Exception {
    Able.need("tokens");
    UserGroupInformation alice = Realm.login("alice");
    Credentials credentials = fetch(alice, "yarn");
    User job = job(credentials);
    assertNotNull(job.does(p -> p.getCurrentKey("k")));
    UserGroupInformation bob = Realm.login("bob");
    cancel(alice, token(credentials));
    assertThrows(IOException.class, () -> cancel(bob, token(credentials)));
    fails("can't be found in cache", p -> p.getCurrentKey("k"), job);
  }

  @Test
  public void aChangedTokenIsWorthNothing() throws Exception {
    Able.need("tokens");
    Token<?> token = token(fetch(Realm.login("bob"), "yarn"));
    byte[] identifier = token.getIdentifier();
    assertEquals('b', identifier[2]);
    // "bob" becomes "hob" in the identifier; the password is of the old one.
    identifier[2] = 'h';
    Token<?> forged = new Token<>(identifier, token.getPassword(), token.getKind(), token.getService());
    Credentials credentials = new Credentials();
    credentials.addToken(token.getService(), forged);
    fails("", p -> p.getKeys(), job(credentials));
  }

  @Test
  public void aTokenDoesNotGetAnother() throws Exception {
    Able.need("tokens");
    UserGroupInformation ugi = UserGroupInformation.createRemoteUser("container");
    ugi.addCredentials(fetch(Realm.login("alice"), "yarn"));
    assertThrows(IOException.class, () -> fetch(ugi, "yarn"));
  }

  @Test
  public void tokensSurviveARestart() throws Exception {
    Able.need("tokens");
    Assume.assumeFalse("the reference keeps tokens in memory", KmsServer.isReference());
    UserGroupInformation yarn = Realm.login("yarn");
    Credentials credentials = fetch(Realm.login("alice"), "yarn");
    Credentials ended = fetch(Realm.login("alice"), "yarn");
    cancel(yarn, token(ended));
    server.restart();
    assertArrayEquals(dek, job(credentials).does(p -> p.decryptEncryptedKey(eek)).getMaterial());
    assertTrue(renew(yarn, token(credentials)) > System.currentTimeMillis());
    fails("can't be found in cache", p -> p.decryptEncryptedKey(eek), job(ended));
  }

  @Test
  public void aProxyUserActsForWhomItMay() throws Exception {
    Able.need("proxyuser");
    UserGroupInformation oozie = Realm.login("oozie");
    UserGroupInformation carol = UserGroupInformation.createProxyUser("carol", oozie);
    User asCarol = new User(carol, server.uri());
    assertArrayEquals(dek, asCarol.does(p -> p.decryptEncryptedKey(eek)).getMaterial());
    asCarol.refused(p -> p.getCurrentKey("k"));
    new User(oozie, server.uri()).refused(p -> p.decryptEncryptedKey(eek));
    fails("Forbidden", p -> p.decryptEncryptedKey(eek),
        new User(UserGroupInformation.createProxyUser("alice", oozie), server.uri()));
    fails("Forbidden", p -> p.getKeys(),
        new User(UserGroupInformation.createProxyUser("carol", Realm.login("bob")), server.uri()));
  }

  @Test
  public void aProxyUserFetchesTokensForWhomItMay() throws Exception {
    Able.need("proxyuser");
    Able.need("tokens");
    UserGroupInformation oozie = Realm.login("oozie");
    Credentials credentials = fetch(UserGroupInformation.createProxyUser("carol", oozie), "yarn");
    User job = job(credentials);
    assertArrayEquals(dek, job.does(p -> p.decryptEncryptedKey(eek)).getMaterial());
    job.refused(p -> p.getCurrentKey("k"));
    assertTrue(renew(Realm.login("yarn"), token(credentials)) > 0);
    assertThrows(IOException.class, () -> fetch(UserGroupInformation.createProxyUser("alice", oozie), "yarn"));
  }

  /** The cookie's end, and a server that has forgotten who it let in: clients log in again by themselves. */
  @Test
  public void loginsAreRenewed() throws Exception {
    try (KmsServer brief = Realm.setup().site("hadoop.kms.authentication.token.validity", "1").start()) {
      User alice = new User(Realm.login("alice"), brief.uri());
      alice.creates("k");
      EncryptedKeyVersion own = alice.does(p -> p.generateEncryptedKey("k"));
      byte[] material = alice.does(p -> p.decryptEncryptedKey(own)).getMaterial();
      for (int i = 0; i < 2; i++) {
        Thread.sleep(1500);
        assertArrayEquals(material, alice.does(p -> p.decryptEncryptedKey(own)).getMaterial());
      }
      brief.restart();
      assertArrayEquals(material, alice.does(p -> p.decryptEncryptedKey(own)).getMaterial());
    }
  }
}
