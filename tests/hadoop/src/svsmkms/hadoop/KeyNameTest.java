// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import org.apache.hadoop.crypto.key.KeyProvider.KeyVersion;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension.EncryptedKeyVersion;
import org.junit.AfterClass;
import org.junit.BeforeClass;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;
import org.junit.runner.RunWith;
import org.junit.runners.Parameterized;
import org.junit.runners.Parameterized.Parameters;

/** The whole life of keys whose names are hard on URLs, JSON and path matching. */
@RunWith(Parameterized.class)
public class KeyNameTest {
  private static KmsServer server;

  @Parameters(name = "{0}")
  public static Collection<Object[]> names() {
    return Arrays.asList(new Object[][] {
        {"dots", "a.key.with.dots."},
        {"dot", "."},
        {"slash", "path/to/key"},
        {"slashAtTheEnd", "key/"},
        {"at", "user@realm"},
        {"versionLike", "key@0"},
        {"plus", "one+one"},
        {"percent", "100%"},
        {"percentCode", "a%2fb%00"},
        {"semicolon", "k;matrix=1"},
        {"query", "k?op=getdelegationtoken&doas=x#y"},
        {"subResource", "k/_metadata"},
        {"onlySubResource", "_eek"},
        {"quotes", "\"quoted\" 'twice'".replace(' ', '-')},
        {"punctuation", "key%^[\n{]}|\"<>\\"},
        {"tab", "tab\tand\rreturn"},
        {"umlauts", "schlüssel"},
        {"twoScripts", "ключ鍵"},
        {"emoji", "\uD83D\uDD11"},
        {"long", String.join("", java.util.Collections.nCopies(200, "k"))},
    });
  }

  @Rule public final Timeout limit = Timeout.seconds(180);
  private final String key;

  public KeyNameTest(String label, String key) {
    this.key = key;
  }

  @BeforeClass
  public static void start() throws Exception {
    server = new KmsServer.Setup().start();
  }

  @AfterClass
  public static void stop() throws Exception {
    KmsServer.close(server);
  }

  @Test
  public void wholeLife() throws Exception {
    try (KeyProviderCryptoExtension p = User.connect(server.uri())) {
      KeyVersion zero = p.createKey(key, User.options().setDescription(key));
      assertEquals(key, zero.getName());
      assertEquals(key + "@0", zero.getVersionName());
      // The reference takes what follows an @ for a version and never lists such names.
      if (!key.contains("@")) {
        assertTrue(p.getKeys().contains(key));
      }
      assertEquals(key, p.getMetadata(key).getDescription());
      assertEquals(key, p.getMetadata(key).getAttributes().get("key.acl.name"));
      assertEquals(key, p.getKeysMetadata("missing", key)[1].getDescription());
      assertArrayEquals(zero.getMaterial(), p.getCurrentKey(key).getMaterial());

      EncryptedKeyVersion old = p.generateEncryptedKey(key);
      byte[] dek = p.decryptEncryptedKey(old).getMaterial();
      KeyVersion one = p.rollNewVersion(key);
      assertEquals(key + "@1", one.getVersionName());
      assertArrayEquals(zero.getMaterial(), p.getKeyVersion(key + "@0").getMaterial());
      assertArrayEquals(one.getMaterial(), p.getKeyVersion(key + "@1").getMaterial());
      assertEquals(2, p.getKeyVersions(key).size());
      EncryptedKeyVersion now = p.reencryptEncryptedKey(old);
      assertEquals(key + "@1", now.getEncryptionKeyVersionName());
      assertArrayEquals(dek, p.decryptEncryptedKey(now).getMaterial());
      List<EncryptedKeyVersion> batch = new ArrayList<>(Arrays.asList(old, old));
      p.reencryptEncryptedKeys(batch);
      assertEquals(key + "@1", batch.get(1).getEncryptionKeyVersionName());

      p.deleteKey(key);
      assertNull(p.getMetadata(key));
      assertFalse(p.getKeys().contains(key));
    }
  }
}
