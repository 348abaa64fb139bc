// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.crypto.key.KeyProvider.Metadata;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension.EncryptedKeyVersion;
import org.apache.hadoop.crypto.key.kms.KMSClientProvider;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;

/** Clients that outlive their cookie or their server. */
public class SessionTest {
  @Rule public final Timeout limit = Timeout.seconds(180);

  @Test
  public void expiredCookiesAreRenewed() throws Exception {
    try (KmsServer server = new KmsServer.Setup().site("hadoop.kms.authentication.token.validity", "1").start()) {
      // The plain client has no second host to hide a failure behind.
      KeyProviderCryptoExtension direct = User.wrap(new KMSClientProvider(server.uri(), new Configuration()));
      User user = new User("user", server);
      direct.createKey("k", User.options());
      EncryptedKeyVersion eek = user.does(p -> p.generateEncryptedKey("k"));
      byte[] dek = user.does(p -> p.decryptEncryptedKey(eek)).getMaterial();

      Thread.sleep(1500);
      direct.createKey("k2", new byte[16], User.options());  // a request whose body is sent twice
      Thread.sleep(1500);
      assertEquals("k@1", direct.rollNewVersion("k").getVersionName());
      assertArrayEquals(dek, user.does(p -> p.decryptEncryptedKey(eek)).getMaterial());
      Thread.sleep(1500);
      assertEquals(2, direct.getMetadata("k").getVersions());
      List<EncryptedKeyVersion> batch = new ArrayList<>(Collections.nCopies(50, eek));
      user.does(p -> {
        p.reencryptEncryptedKeys(batch);
        return null;
      });
      assertEquals("k@1", batch.get(49).getEncryptionKeyVersionName());
      Thread.sleep(1500);
      direct.deleteKey("k2");
      assertNull(direct.getMetadata("k2"));
    }
  }

  @Test
  public void clientsSurviveARestart() throws Exception {
    try (KmsServer server = new KmsServer.Setup().start()) {
      KeyProviderCryptoExtension direct = User.wrap(new KMSClientProvider(server.uri(), new Configuration()));
      User alice = new User("alice", server);
      User bob = new User("bob", server);
      byte[] material = alice.creates("k").getMaterial();
      EncryptedKeyVersion eek = alice.does(p -> p.generateEncryptedKey("k"));
      byte[] dek = bob.does(p -> p.decryptEncryptedKey(eek)).getMaterial();
      assertNotNull(direct.getCurrentKey("k"));
      for (int i = 0; i < 2; i++) {
        server.restart();  // forgets the secret that signed the cookies
        assertArrayEquals(material, direct.getCurrentKey("k").getMaterial());
        assertArrayEquals(dek, bob.does(p -> p.decryptEncryptedKey(eek)).getMaterial());
        int number = i;
        assertNotNull(alice.does(p -> p.createKey("new" + number, User.options())));
      }
    }
  }

  @Test
  public void clientsSurviveAnOutage() throws Exception {
    try (KmsServer server = new KmsServer.Setup().start()) {
      User user = new User("user", server);
      byte[] material = user.creates("k").getMaterial();
      server.stop();
      assertThrows(IOException.class, () -> user.does(p -> p.getCurrentKey("k")));
      assertThrows(IOException.class, () -> user.does(p -> p.createKey("k2", User.options())));
      server.start();
      assertArrayEquals(material, user.does(p -> p.getCurrentKey("k")).getMaterial());
      assertNull(user.does(p -> p.getMetadata("k2")));
    }
  }

  @Test
  public void keysSurviveARestart() throws Exception {
    keysStay(false);
  }

  /** What was acknowledged is there, even if nobody said good-bye. */
  @Test
  public void keysSurviveAKill() throws Exception {
    keysStay(true);
  }

  private static void keysStay(boolean kill) throws Exception {
    try (KmsServer server = new KmsServer.Setup().start()) {
      byte[][] material = new byte[3][];
      Metadata before;
      EncryptedKeyVersion eek;
      byte[] dek;
      try (KeyProviderCryptoExtension p = User.connect(server.uri())) {
        material[0] = p.createKey("k", User.options().setBitLength(256).setDescription("stays")
            .setAttributes(Collections.singletonMap("a", "b"))).getMaterial();
        material[1] = p.rollNewVersion("k").getMaterial();
        eek = p.generateEncryptedKey("k");
        dek = p.decryptEncryptedKey(eek).getMaterial();
        p.createKey("gone", User.options());
        p.deleteKey("gone");
        p.createKey("späte/r@x", User.options());
        before = p.getMetadata("k");
        material[2] = p.rollNewVersion("k").getMaterial();
      }
      if (kill) {
        server.kill();
      }
      server.restart();
      try (KeyProviderCryptoExtension p = User.connect(server.uri())) {
        Metadata after = p.getMetadata("k");
        assertEquals(before.getCreated(), after.getCreated());
        assertEquals(before.getDescription(), after.getDescription());
        assertEquals(before.getAttributes(), after.getAttributes());
        assertEquals(before.getCipher(), after.getCipher());
        assertEquals(256, after.getBitLength());
        assertEquals(3, after.getVersions());
        for (int i = 0; i < 3; i++) {
          assertArrayEquals(material[i], p.getKeyVersion("k@" + i).getMaterial());
        }
        assertEquals("k@2", p.getCurrentKey("k").getVersionName());
        assertArrayEquals(dek, p.decryptEncryptedKey(eek).getMaterial());
        assertNull(p.getMetadata("gone"));
        assertNotNull(p.getCurrentKey("späte/r@x"));
        assertEquals("k@3", p.rollNewVersion("k").getVersionName());
      }
    }
  }
}
