// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;

import java.io.IOException;
import java.net.URI;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension.EncryptedKeyVersion;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;

/** Several hosts in one address. They are all this machine: 127.0.0.1, .2 and .3 are different hosts to the client. */
public class FailoverTest {
  @Rule public final Timeout limit = Timeout.seconds(180);

  private static URI hosts(int port, String... addresses) {
    return URI.create("kms://http@" + String.join(";", addresses) + ":" + port + "/kms");
  }

  @Test
  public void deadHostsArePassedOver() throws Exception {
    try (KmsServer server = new KmsServer.Setup().start();
        KeyProviderCryptoExtension p = User.connect(hosts(server.port(), "127.0.0.1", "127.0.0.2", "127.0.0.3"))) {
      byte[] material = p.createKey("k", User.options()).getMaterial();
      EncryptedKeyVersion eek = p.generateEncryptedKey("k");
      byte[] dek = p.decryptEncryptedKey(eek).getMaterial();
      for (int i = 0; i < 6; i++) {  // starts at another host each time
        assertArrayEquals(material, p.getKeyVersion("k@0").getMaterial());
        assertArrayEquals(dek, p.decryptEncryptedKey(eek).getMaterial());
        assertEquals("new" + i, p.createKey("new" + i, User.options()).getName());
        String key = "new" + i;
        // The rollover is done; what fails then is the client telling the dead hosts about it.
        assertThrows(IOException.class, () -> p.rollNewVersion(key));
        assertEquals("new" + i + "@1", p.getCurrentKey("new" + i).getVersionName());
      }
    }
  }

  @Test
  public void allHostsDeadIsAnError() throws Exception {
    try (KeyProviderCryptoExtension p = User.connect(hosts(KmsServer.freePort(), "127.0.0.1", "127.0.0.2"))) {
      assertThrows(IOException.class, () -> p.getMetadata("k"));
    }
  }

  @Test
  public void refusalsAreNotRetriedElsewhere() throws Exception {
    try (KmsServer server = new KmsServer.Setup().acl("hadoop.kms.acl.GET_KEYS", "somebody").start();
        KeyProviderCryptoExtension p = User.connect(hosts(server.port(), "127.0.0.1", "127.0.0.2"))) {
      for (int i = 0; i < 4; i++) {
        assertThrows(org.apache.hadoop.security.authorize.AuthorizationException.class, () -> p.getKeys());
      }
    }
  }

  @Test
  public void aHostMayDieInBetween() throws Exception {
    int port = KmsServer.freePort();
    try (KmsServer one = new KmsServer.Setup().listen("127.0.0.1", port).start();
        KmsServer two = new KmsServer.Setup().listen("127.0.0.2", port).start();
        KeyProviderCryptoExtension p = User.connect(hosts(port, "127.0.0.1", "127.0.0.2"))) {
      byte[] material = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -1};
      // The two share nothing, so each gets the key by itself.
      for (KmsServer server : new KmsServer[] {one, two}) {
        try (KeyProviderCryptoExtension single = User.connect(server.uri())) {
          single.createKey("k", material, User.options());
        }
      }
      for (int i = 0; i < 4; i++) {
        assertArrayEquals(material, p.getCurrentKey("k").getMaterial());
      }
      one.kill();
      for (int i = 0; i < 4; i++) {
        assertArrayEquals(material, p.getCurrentKey("k").getMaterial());
      }
      one.start();
      two.stop();
      for (int i = 0; i < 4; i++) {
        assertArrayEquals(material, p.getCurrentKey("k").getMaterial());
        assertNotNull(p.decryptEncryptedKey(p.generateEncryptedKey("k")));
      }
    }
  }

  /** After a rollover and (newer clients) a delete, the client tells every host, also those without the key. */
  @Test
  public void invalidationReachesHostsWithoutTheKey() throws Exception {
    Able.needToForgetMissingKeys();
    int port = KmsServer.freePort();
    try (KmsServer one = new KmsServer.Setup().listen("127.0.0.1", port).start();
        KmsServer two = new KmsServer.Setup().listen("127.0.0.2", port).start()) {
      for (int i = 0; i < 4; i++) {
        String key = "k" + i;
        try (KeyProviderCryptoExtension single = User.connect(one.uri());
            KeyProviderCryptoExtension both = User.connect(hosts(port, "127.0.0.1", "127.0.0.2"))) {
          single.createKey(key, User.options());
          // A host without the key answers with an error, and the client goes on to the next.
          assertEquals(key + "@1", both.rollNewVersion(key).getVersionName());
          both.warmUpEncryptedKeys(key);
          both.deleteKey(key);
          assertNull(single.getMetadata(key));
          assertFalse(single.getKeys().contains(key));
        }
      }
    }
  }
}
