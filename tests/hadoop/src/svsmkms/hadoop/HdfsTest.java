// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;
import static svsmkms.hadoop.Hdfs.content;

import java.io.Closeable;
import java.io.IOException;
import java.security.PrivilegedExceptionAction;
import java.util.Arrays;
import java.util.EnumSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileEncryptionInfo;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.client.CreateEncryptionZoneFlag;
import org.apache.hadoop.hdfs.client.HdfsAdmin;
import org.apache.hadoop.hdfs.protocol.HdfsConstants.ReencryptAction;
import org.apache.hadoop.hdfs.protocol.ZoneReencryptionStatus;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.security.authorize.AuthorizationException;
import org.junit.AfterClass;
import org.junit.BeforeClass;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;

/**
 * Transparent encryption in a real HDFS. The superuser, who runs the NameNode, is blacklisted for decryption as every
 * guide recommends; alice and bob read and write; mallory may open the files, but has no right to decrypt.
 */
public class HdfsTest {
  private static KmsServer server;
  private static Hdfs hdfs;
  private static HdfsAdmin admin;
  private static KeyProviderCryptoExtension keys;
  private static HdfsUser superuser;

  @Rule public final Timeout limit = Timeout.seconds(180);

  @BeforeClass
  public static void start() throws Exception {
    String login = UserGroupInformation.getLoginUser().getShortUserName();
    server = new KmsServer.Setup()
        .acl("hadoop.kms.acl.DECRYPT_EEK", "alice,bob," + login)
        .acl("hadoop.kms.blacklist.DECRYPT_EEK", login)
        .start();
    keys = User.connect(server.uri());
    hdfs = new Hdfs("hdfs", conf("superuser"));
    admin = new HdfsAdmin(hdfs.uri(), conf("superuser"));
    superuser = new HdfsUser("superuser", UserGroupInformation.getLoginUser());
  }

  @AfterClass
  public static void stop() throws Exception {
    Hdfs.close(hdfs);
    KmsServer.close(server);
  }

  private static Configuration conf(String user) {
    Configuration conf = Hdfs.conf(new Configuration(), server, user);
    // The stock of encrypted keys: small, so that it turns over during a test.
    conf.setInt("hadoop.security.kms.client.encrypted.key.cache.size", 10);
    // Small batches and short pauses: many requests in little time.
    conf.setInt("dfs.namenode.reencrypt.batch.size", 10);
    conf.set("dfs.namenode.reencrypt.sleep.interval", "100ms");
    return conf;
  }

  private static Path zone(String name, String key, int bits) throws Exception {
    keys.createKey(key, User.options().setBitLength(bits));
    Path zone = new Path("/" + name);
    superuser.fs.mkdirs(zone);
    superuser.fs.setPermission(zone, new FsPermission((short) 0777));
    admin.createEncryptionZone(zone, key, EnumSet.of(CreateEncryptionZoneFlag.PROVISION_TRASH));
    assertEquals(key, admin.getEncryptionZoneForPath(zone).getKeyName());
    return zone;
  }

  /** What is done to files, done by one user: the key server is asked as whoever makes the call, not who opened HDFS. */
  private static final class HdfsUser implements Closeable {
    private final UserGroupInformation ugi;
    private final FileSystem fs;

    HdfsUser(String name) throws Exception {
      this(name, UserGroupInformation.createRemoteUser(name));
    }

    HdfsUser(String name, UserGroupInformation ugi) throws Exception {
      this.ugi = ugi;
      this.fs = does(() -> FileSystem.newInstance(hdfs.uri(), conf(name)));
    }

    <T> T does(PrivilegedExceptionAction<T> action) throws Exception {
      return ugi.doAs(action);
    }

    void write(Path file, byte[] content) throws Exception {
      does(() -> {
        try (FSDataOutputStream out = fs.create(file, true)) {
          out.write(content);
        }
        fs.setPermission(file, new FsPermission((short) 0644));
        return null;
      });
    }

    void append(Path file, byte[] content) throws Exception {
      does(() -> {
        try (FSDataOutputStream out = fs.append(file)) {
          out.write(content);
        }
        return null;
      });
    }

    byte[] read(Path file) throws Exception {
      return read(file, 0, (int) fs.getFileStatus(file).getLen());
    }

    byte[] read(Path file, long position, int length) throws Exception {
      return does(() -> {
        byte[] content = new byte[length];
        try (FSDataInputStream in = fs.open(file)) {
          in.readFully(position, content);
        }
        return content;
      });
    }

    @Override
    public void close() throws IOException {
      fs.close();
    }
  }

  private static byte[] raw(Path file) throws Exception {
    return superuser.read(new Path("/.reserved/raw" + file));
  }

  private static String version(Path file) throws Exception {
    FileEncryptionInfo info = admin.getFileEncryptionInfo(file);
    assertNotNull(info);
    return info.getEzKeyVersionName();
  }

  @Test
  public void filesAreEncryptedAndReadable() throws Exception {
    for (int bits : new int[] {128, 256}) {
      Path zone = zone("plain" + bits, "plain" + bits, bits);
      Path file = new Path(zone, "file");
      byte[] content = content(300_000, bits);
      try (HdfsUser alice = new HdfsUser("alice"); HdfsUser bob = new HdfsUser("bob")) {
        alice.write(file, content);
        assertArrayEquals(content, alice.read(file));
        assertArrayEquals(content, bob.read(file));
        // Starts in the middle of a cipher block.
        assertArrayEquals(Arrays.copyOfRange(content, 123_457, 124_457), bob.read(file, 123_457, 1000));
        alice.append(file, content(1000, 0));
        assertArrayEquals(content(1000, 0), bob.read(file, 300_000, 1000));
      }
      byte[] stored = raw(file);
      assertEquals(301_000, stored.length);
      assertFalse(Arrays.equals(Arrays.copyOf(content, 64), Arrays.copyOf(stored, 64)));
      assertEquals("plain" + bits + "@0", version(file));
    }
  }

  @Test
  public void aZoneNeedsAnExistingKey() throws Exception {
    superuser.fs.mkdirs(new Path("/keyless"));
    IOException e = assertThrows(IOException.class, () -> admin.createEncryptionZone(new Path("/keyless"), "no-such-key",
        EnumSet.of(CreateEncryptionZoneFlag.NO_TRASH)));
    assertTrue(e.toString(), e.getMessage().contains("doesn't exist"));
  }

  @Test
  public void withoutTheRightNothingIsRead() throws Exception {
    Path zone = zone("guarded", "guarded", 128);
    Path file = new Path(zone, "file");
    try (HdfsUser alice = new HdfsUser("alice"); HdfsUser mallory = new HdfsUser("mallory")) {
      alice.write(file, content(1000, 1));
      assertEquals(1000, mallory.fs.getFileStatus(file).getLen());
      assertThrows(AuthorizationException.class, () -> mallory.read(file));
      assertThrows(AuthorizationException.class, () -> mallory.write(new Path(zone, "other"), new byte[1]));
    }
  }

  @Test
  public void theBlacklistedSuperuserReadsOnlyCiphertext() throws Exception {
    Path zone = zone("secret", "secret", 128);
    Path file = new Path(zone, "file");
    byte[] content = content(1000, 2);
    try (HdfsUser alice = new HdfsUser("alice")) {
      alice.write(file, content);
    }
    assertThrows(AuthorizationException.class, () -> superuser.read(file));
    assertFalse(Arrays.equals(content, raw(file)));
  }

  /** A rollover reaches HDFS when the NameNode's stock of encrypted keys is used up; both kinds of files are readable. */
  @Test
  public void newFilesTakeTheNewVersion() throws Exception {
    Path zone = zone("fresh", "fresh", 128);
    Path old = new Path(zone, "old");
    try (HdfsUser alice = new HdfsUser("alice"); HdfsUser bob = new HdfsUser("bob")) {
      alice.write(old, content(100, 1));
      keys.rollNewVersion("fresh");
      Path fresh = null;
      for (int i = 0; i < 100 && (fresh == null || version(fresh).equals("fresh@0")); i++) {
        fresh = new Path(zone, "fresh" + i);
        alice.write(fresh, content(100, 2));
      }
      assertEquals("fresh@1", version(fresh));
      assertEquals("fresh@0", version(old));
      assertArrayEquals(content(100, 1), bob.read(old));
      assertArrayEquals(content(100, 2), bob.read(fresh));
    }
  }

  /** The life of a zone: roll, write, re-encrypt, and a restart of the server at every stage. */
  @Test
  public void rollReencryptRestart() throws Exception {
    Path zone = zone("rolled", "rolled", 256);
    int files = 45;  // several batches, the last one partly filled
    Path late = new Path(zone, "late");
    try (HdfsUser alice = new HdfsUser("alice"); HdfsUser bob = new HdfsUser("bob")) {
      for (int i = 0; i < files; i++) {
        alice.write(new Path(zone, "file" + i), content(500, i));
      }
      assertEquals("rolled@0", version(new Path(zone, "file0")));

      assertEquals("rolled@1", keys.rollNewVersion("rolled").getVersionName());
      server.restart();
      for (int i = 0; i < files; i++) {
        assertArrayEquals(content(500, i), bob.read(new Path(zone, "file" + i)));
      }

      byte[] ciphertext = raw(new Path(zone, "file0"));
      admin.reencryptEncryptionZone(zone, ReencryptAction.START);
      ZoneReencryptionStatus status = completed(zone);
      assertEquals(files, status.getFilesReencrypted());
      assertEquals(0, status.getNumReencryptionFailures());
      for (int i = 0; i < files; i++) {
        assertEquals("rolled@1", version(new Path(zone, "file" + i)));
      }
      assertArrayEquals("only the keys change", ciphertext, raw(new Path(zone, "file0")));

      alice.write(late, content(500, 99));
      assertEquals("rolled@1", version(late));

      server.restart();
      for (int i = 0; i < files; i++) {
        assertArrayEquals(content(500, i), bob.read(new Path(zone, "file" + i)));
      }
      assertArrayEquals(content(500, 99), bob.read(late));
      bob.write(new Path(zone, "after"), content(10, 3));
      assertArrayEquals(content(10, 3), alice.read(new Path(zone, "after")));
    }
  }

  private static ZoneReencryptionStatus completed(Path zone) throws Exception {
    for (int i = 0; i < 600; i++) {
      RemoteIterator<ZoneReencryptionStatus> all = admin.listReencryptionStatus();
      while (all.hasNext()) {
        ZoneReencryptionStatus status = all.next();
        if (status.getZoneName().equals(zone.toString()) && status.getState() == ZoneReencryptionStatus.State.Completed) {
          return status;
        }
      }
      Thread.sleep(100);
    }
    throw new AssertionError("the re-encryption does not end");
  }
}
