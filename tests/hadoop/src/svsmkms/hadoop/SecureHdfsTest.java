// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.security.PrivilegedExceptionAction;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.client.CreateEncryptionZoneFlag;
import org.apache.hadoop.hdfs.client.HdfsAdmin;
import org.apache.hadoop.security.Credentials;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.security.token.Token;
import org.junit.AfterClass;
import org.junit.BeforeClass;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;

/**
 * An HDFS with Kerberos and an encryption zone, its keys on the server under test: users with tickets, and jobs that have
 * delegation tokens only. The NameNode is the superuser, hdfs, who may not decrypt.
 */
public class SecureHdfsTest {
  private static final Path ZONE = new Path("/zone");
  private static KmsServer server;
  private static Hdfs cluster;

  @Rule public final Timeout limit = Timeout.seconds(180);

  @BeforeClass
  public static void start() throws Exception {
    Realm.need();
    server = Realm.setup().acl("hadoop.kms.acl.DECRYPT_EEK", "alice,bob").acl("hadoop.kms.blacklist.DECRYPT_EEK", "hdfs").start();
    cluster = new Hdfs("secure-hdfs", conf("cluster"));
    UserGroupInformation hdfs = Realm.login("hdfs/localhost");
    new User(hdfs, server.uri()).creates("zone-key");
    try (FileSystem fs = open(hdfs, "setup")) {
      hdfs.doAs((PrivilegedExceptionAction<Void>) () -> {
        fs.mkdirs(ZONE);
        fs.setPermission(ZONE, new FsPermission((short) 0777));
        new HdfsAdmin(cluster.uri(), conf("setup")).createEncryptionZone(ZONE, "zone-key",
            EnumSet.of(CreateEncryptionZoneFlag.NO_TRASH));
        return null;
      });
    }
  }

  @AfterClass
  public static void stop() throws Exception {
    Hdfs.close(cluster);
    KmsServer.close(server);
  }

  /** As on a real cluster, except for the ports that only root may open. `client` keeps connections of users apart. */
  private static Configuration conf(String client) {
    Configuration conf = Hdfs.conf(Realm.conf(), server, client);
    for (String daemon : new String[] {"namenode", "datanode"}) {
      conf.set("dfs." + daemon + ".kerberos.principal", "hdfs/localhost@" + Realm.NAME);
      conf.set("dfs." + daemon + ".keytab.file", Realm.keytab("users"));
    }
    conf.set("dfs.web.authentication.kerberos.principal", "HTTP/localhost@" + Realm.NAME);
    conf.set("dfs.web.authentication.kerberos.keytab", Realm.keytab("http"));
    conf.setBoolean("dfs.block.access.token.enable", true);
    conf.setBoolean("ignore.secure.ports.for.testing", true);
    return conf;
  }

  private static FileSystem open(UserGroupInformation user, String client) throws Exception {
    return user.doAs((PrivilegedExceptionAction<FileSystem>) () -> FileSystem.newInstance(cluster.uri(), conf(client)));
  }

  private static byte[] content(long seed) {
    return Hdfs.content(100_000, seed);
  }

  private static void write(UserGroupInformation user, FileSystem fs, Path file, byte[] content) throws Exception {
    user.doAs((PrivilegedExceptionAction<Void>) () -> {
      try (FSDataOutputStream out = fs.create(file, true)) {
        out.write(content);
      }
      return null;
    });
  }

  private static byte[] read(UserGroupInformation user, FileSystem fs, Path file) throws Exception {
    return user.doAs((PrivilegedExceptionAction<byte[]>) () -> {
      byte[] content = new byte[(int) fs.getFileStatus(file).getLen()];
      try (FSDataInputStream in = fs.open(file)) {
        in.readFully(0, content);
      }
      return content;
    });
  }

  private static Credentials tokens(UserGroupInformation user, FileSystem fs) throws Exception {
    Credentials credentials = new Credentials();
    user.doAs((PrivilegedExceptionAction<Void>) () -> {
      fs.addDelegationTokens("yarn", credentials);
      return null;
    });
    return credentials;
  }

  private static Token<?> kmsToken(Credentials credentials) {
    return credentials.getAllTokens().stream().filter(t -> t.getKind().toString().equals("kms-dt")).findFirst().get();
  }

  @Test
  public void usersWithTicketsWriteAndRead() throws Exception {
    UserGroupInformation alice = Realm.login("alice");
    UserGroupInformation bob = Realm.login("bob");
    UserGroupInformation hdfs = Realm.login("hdfs/localhost");
    Path file = new Path(ZONE, "tickets");
    try (FileSystem a = open(alice, "a"); FileSystem b = open(bob, "b"); FileSystem h = open(hdfs, "h")) {
      write(alice, a, file, content(1));
      assertArrayEquals(content(1), read(bob, b, file));
      assertThrows(IOException.class, () -> read(hdfs, h, file));
      byte[] raw = read(hdfs, h, new Path("/.reserved/raw" + file));
      assertEquals(100_000, raw.length);
      assertFalse(Arrays.equals(Arrays.copyOf(content(1), 64), Arrays.copyOf(raw, 64)));
    }
  }

  @Test
  public void aUserWithoutTheRightReadsNothing() throws Exception {
    UserGroupInformation alice = Realm.login("alice");
    UserGroupInformation carol = Realm.login("carol");
    Path file = new Path(ZONE, "guarded");
    try (FileSystem a = open(alice, "a2"); FileSystem c = open(carol, "c2")) {
      write(alice, a, file, content(2));
      assertThrows(IOException.class, () -> read(carol, c, file));
    }
  }

  /** Submitted by alice, run by somebody without a ticket, its tokens kept alive and ended by the resource manager. */
  @Test
  public void aJobWritesAndReadsWithItsTokens() throws Exception {
    Able.need("tokens");
    UserGroupInformation alice = Realm.login("alice");
    UserGroupInformation yarn = Realm.login("yarn");
    Credentials credentials;
    try (FileSystem a = open(alice, "a3")) {
      write(alice, a, new Path(ZONE, "input"), content(3));
      credentials = tokens(alice, a);
    }
    Set<String> kinds = new TreeSet<>();
    credentials.getAllTokens().forEach(t -> kinds.add(t.getKind().toString()));
    assertEquals(new TreeSet<>(Arrays.asList("HDFS_DELEGATION_TOKEN", "kms-dt")), kinds);

    UserGroupInformation job = UserGroupInformation.createRemoteUser("alice");
    job.setAuthenticationMethod(UserGroupInformation.AuthenticationMethod.TOKEN);
    job.addCredentials(credentials);
    Path output = new Path(ZONE, "output");
    try (FileSystem j = open(job, "j3")) {
      assertArrayEquals(content(3), read(job, j, new Path(ZONE, "input")));
      write(job, j, output, content(4));
    }
    Configuration conf = conf("yarn");
    Token<?> token = kmsToken(credentials);
    assertTrue(yarn.doAs((PrivilegedExceptionAction<Long>) () -> token.renew(conf)) > System.currentTimeMillis());
    try (FileSystem j = open(job, "j4")) {
      assertArrayEquals(content(4), read(job, j, output));
      yarn.doAs((PrivilegedExceptionAction<Void>) () -> {
        token.cancel(conf);
        return null;
      });
      assertThrows(IOException.class, () -> read(job, j, output));
    }
    try (FileSystem a = open(alice, "a5")) {
      assertArrayEquals(content(4), read(alice, a, output));
    }
  }
}
