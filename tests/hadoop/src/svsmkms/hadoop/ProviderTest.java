// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import javax.crypto.Cipher;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.apache.commons.codec.binary.Hex;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.crypto.key.KeyProvider;
import org.apache.hadoop.crypto.key.KeyProvider.KeyVersion;
import org.apache.hadoop.crypto.key.KeyProvider.Metadata;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension.EncryptedKeyVersion;
import org.apache.hadoop.crypto.key.kms.KMSClientProvider;
import org.junit.After;
import org.junit.AfterClass;
import org.junit.Before;
import org.junit.BeforeClass;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;
import org.junit.runner.RunWith;
import org.junit.runners.Parameterized;
import org.junit.runners.Parameterized.Parameters;

/** Every operation of a Java provider, once through the plain client and once through the load balancing one. */
@RunWith(Parameterized.class)
public class ProviderTest {
  private static final AtomicInteger NAMES = new AtomicInteger();
  private static KmsServer server;

  @Parameters(name = "{0}")
  public static Collection<String> kinds() {
    return Arrays.asList("direct", "balanced");
  }

  @Rule public final Timeout limit = Timeout.seconds(180);
  private final String kind;
  private final String key = "key" + NAMES.incrementAndGet();
  private KeyProviderCryptoExtension provider;

  public ProviderTest(String kind) {
    this.kind = kind;
  }

  @BeforeClass
  public static void start() throws Exception {
    server = new KmsServer.Setup().start();
  }

  @AfterClass
  public static void stop() throws Exception {
    KmsServer.close(server);
  }

  @Before
  public void open() throws Exception {
    provider = connect();
  }

  @After
  public void close() throws Exception {
    provider.close();
  }

  private KeyProviderCryptoExtension connect() throws Exception {
    return kind.equals("direct") ? User.wrap(new KMSClientProvider(server.uri(), new Configuration()))
        : User.connect(server.uri());
  }

  private static KeyProvider.Options bits(int length) {
    return User.options().setBitLength(length);
  }

  private static byte[] bytes(int length, int first) {
    byte[] bytes = new byte[length];
    for (int i = 0; i < length; i++) {
      bytes[i] = (byte) (first + i);
    }
    return bytes;
  }

  private static byte[] hex(String text) throws Exception {
    return Hex.decodeHex(text.toCharArray());
  }

  private static byte[] eek(EncryptedKeyVersion e) {
    return e.getEncryptedKeyVersion().getMaterial();
  }

  // ---- keys

  @Test
  public void createGeneratesMaterial() throws Exception {
    KeyVersion created = provider.createKey(key, User.options());
    assertEquals(key, created.getName());
    assertEquals(key + "@0", created.getVersionName());
    assertEquals(16, created.getMaterial().length);
    assertArrayEquals(created.getMaterial(), provider.getCurrentKey(key).getMaterial());
    assertArrayEquals(created.getMaterial(), provider.getKeyVersion(key + "@0").getMaterial());
    assertEquals(key, provider.getKeyVersion(key + "@0").getName());
  }

  @Test
  public void createGeneratesEverySize() throws Exception {
    Set<String> seen = new HashSet<>();
    for (int length : new int[] {128, 192, 256}) {
      byte[] material = provider.createKey(key + "-" + length, bits(length)).getMaterial();
      assertEquals(length / 8, material.length);
      assertEquals(length, provider.getMetadata(key + "-" + length).getBitLength());
      assertTrue(seen.add(Hex.encodeHexString(material).substring(0, 32)));
    }
  }

  @Test
  public void createTakesMaterial() throws Exception {
    for (int length : new int[] {128, 192, 256}) {
      // High bytes, so that both base64 alphabets differ.
      byte[] material = bytes(length / 8, 0xe8);
      KeyVersion created = provider.createKey(key + "-" + length, material, bits(length));
      assertArrayEquals(material, created.getMaterial());
      assertArrayEquals(material, provider.getCurrentKey(key + "-" + length).getMaterial());
    }
  }

  @Test
  public void createRefusesMaterialOfAnotherSize() throws Exception {
    assertThrows(IOException.class, () -> provider.createKey(key, bytes(16, 0), bits(256)));
    assertThrows(IOException.class, () -> provider.createKey(key, bytes(15, 0), bits(128)));
    assertNull(provider.getMetadata(key));
  }

  @Test
  public void createRefusesADuplicate() throws Exception {
    byte[] material = provider.createKey(key, User.options()).getMaterial();
    IOException e = assertThrows(IOException.class, () -> provider.createKey(key, User.options()));
    assertTrue(e.toString(), e.getMessage().contains("Key " + key + " already exists"));
    assertThrows(IOException.class, () -> provider.createKey(key, bytes(16, 0), User.options()));
    assertArrayEquals(material, provider.getCurrentKey(key).getMaterial());
    assertEquals(1, provider.getMetadata(key).getVersions());
  }

  @Test
  public void createRefusesUpperCase() {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class,
        () -> provider.createKey("Upper", bytes(16, 0), User.options()));
    assertTrue(e.toString(), e.getMessage().contains("Uppercase key names are unsupported: Upper"));
  }

  @Test
  public void metadataHoldsWhatWasGiven() throws Exception {
    Map<String, String> attributes = new HashMap<>();
    attributes.put("team", "storage");
    attributes.put("note \"1\"", "ключ 鍵 \\ \n end");
    long before = System.currentTimeMillis();
    provider.createKey(key, bits(256).setDescription("für alle \uD83D\uDD11").setAttributes(attributes));
    long after = System.currentTimeMillis();

    Metadata m = provider.getMetadata(key);
    assertEquals("AES/CTR/NoPadding", m.getCipher());
    assertEquals("AES", m.getAlgorithm());
    assertEquals(256, m.getBitLength());
    assertEquals("für alle \uD83D\uDD11", m.getDescription());
    assertEquals(1, m.getVersions());
    // A server on another machine has a clock of its own.
    long skew = Long.parseLong(System.getenv().getOrDefault("SVSM_KMS_CLOCK_SKEW_MS", "0"));
    assertTrue(m.getCreated() + " between " + before + " and " + after,
        m.getCreated().getTime() >= before - skew && m.getCreated().getTime() <= after + skew);
    attributes.put("key.acl.name", key);  // added by the server
    assertEquals(attributes, m.getAttributes());
  }

  @Test
  public void metadataWithoutOptions() throws Exception {
    provider.createKey(key, User.options());
    Metadata m = provider.getMetadata(key);
    assertNull(m.getDescription());
    assertEquals(Collections.singletonMap("key.acl.name", key), m.getAttributes());
  }

  @Test
  public void metadataKeepsAGivenAclName() throws Exception {
    provider.createKey(key, User.options().setAttributes(Collections.singletonMap("key.acl.name", "shared")));
    assertEquals(Collections.singletonMap("key.acl.name", "shared"), provider.getMetadata(key).getAttributes());
  }

  @Test
  public void metadataOfManyKeysComesInOrder() throws Exception {
    // So long that the client has to ask in several requests.
    StringBuilder tail = new StringBuilder();
    for (int i = 0; i < 100; i++) {
      tail.append('x');
    }
    String[] names = new String[24];
    for (int i = 0; i < names.length; i++) {
      names[i] = key + "-" + i + "-" + tail;
      if (i % 3 != 2) {
        provider.createKey(names[i], bytes(16, i), User.options().setDescription("number " + i));
      }
    }
    Metadata[] all = provider.getKeysMetadata(names);
    assertEquals(names.length, all.length);
    for (int i = 0; i < names.length; i++) {
      if (i % 3 == 2) {
        assertNull("missing keys leave a gap", all[i]);
      } else {
        assertEquals("number " + i, all[i].getDescription());
      }
    }
    assertEquals(0, provider.getKeysMetadata().length);
  }

  @Test
  public void missingIsNull() throws Exception {
    assertNull(provider.getMetadata(key));
    assertNull(provider.getCurrentKey(key));
    assertNull(provider.getKeyVersion(key + "@0"));
    assertNull(provider.getKeyVersion(key));
    List<KeyVersion> versions = provider.getKeyVersions(key);
    assertTrue(String.valueOf(versions), versions == null || versions.isEmpty());
    assertNull(provider.getKeysMetadata(key)[0]);

    provider.createKey(key, User.options());
    assertNull(provider.getKeyVersion(key + "@1"));
    assertNull(provider.getKeyVersion(key + "@-1"));
    assertNull(provider.getKeyVersion(key + "@x"));
    assertNull(provider.getKeyVersion(key + "@"));
  }

  @Test
  public void keysAreListed() throws Exception {
    assertFalse(provider.getKeys().contains(key));
    provider.createKey(key, User.options());
    provider.rollNewVersion(key);
    assertEquals(1, Collections.frequency(provider.getKeys(), key));
    provider.deleteKey(key);
    assertFalse(provider.getKeys().contains(key));
  }

  @Test
  public void rollAddsVersions() throws Exception {
    byte[] zero = provider.createKey(key, bits(256)).getMaterial();
    KeyVersion one = provider.rollNewVersion(key);
    assertEquals(key, one.getName());
    assertEquals(key + "@1", one.getVersionName());
    assertEquals(32, one.getMaterial().length);
    assertFalse(Arrays.equals(zero, one.getMaterial()));

    byte[] given = bytes(32, 0xf0);
    KeyVersion two = provider.rollNewVersion(key, given);
    assertEquals(key + "@2", two.getVersionName());
    assertArrayEquals(given, two.getMaterial());

    assertEquals(key + "@2", provider.getCurrentKey(key).getVersionName());
    assertArrayEquals(given, provider.getCurrentKey(key).getMaterial());
    assertEquals(3, provider.getMetadata(key).getVersions());
    assertArrayEquals(zero, provider.getKeyVersion(key + "@0").getMaterial());
    assertArrayEquals(one.getMaterial(), provider.getKeyVersion(key + "@1").getMaterial());
  }

  @Test
  public void versionsComeInOrder() throws Exception {
    provider.createKey(key, bytes(16, 0), User.options());
    for (int i = 1; i < 12; i++) {  // beyond 9, where an order by text would differ
      provider.rollNewVersion(key, bytes(16, i));
    }
    List<KeyVersion> versions = provider.getKeyVersions(key);
    assertEquals(12, versions.size());
    for (int i = 0; i < 12; i++) {
      assertEquals(key, versions.get(i).getName());
      assertEquals(key + "@" + i, versions.get(i).getVersionName());
      assertArrayEquals(bytes(16, i), versions.get(i).getMaterial());
    }
  }

  @Test
  public void rollRefusesWhatDoesNotFit() throws Exception {
    assertThrows(IOException.class, () -> provider.rollNewVersion(key));
    assertThrows(IOException.class, () -> provider.rollNewVersion(key, bytes(16, 0)));
    provider.createKey(key, User.options());
    assertThrows(IOException.class, () -> provider.rollNewVersion(key, bytes(32, 0)));
    assertEquals(1, provider.getMetadata(key).getVersions());
  }

  @Test
  public void deleteRemovesEveryVersion() throws Exception {
    provider.createKey(key, User.options());
    provider.rollNewVersion(key);
    EncryptedKeyVersion e = provider.generateEncryptedKey(key);
    provider.deleteKey(key);
    assertNull(provider.getMetadata(key));
    assertNull(provider.getCurrentKey(key));
    assertNull(provider.getKeyVersion(key + "@0"));
    assertNull(provider.getKeyVersion(key + "@1"));
    assertNull(provider.getKeyVersion(key));
    IllegalArgumentException missing =
        assertThrows(IllegalArgumentException.class, () -> provider.decryptEncryptedKey(e));
    assertTrue(missing.toString(), missing.getMessage().contains("'" + key + "@1' not found"));
    IOException again = assertThrows(IOException.class, () -> provider.deleteKey(key));
    assertTrue(again.toString(), again.getMessage().contains("Key " + key + " does not exist"));
    // The name is free again and starts over.
    assertEquals(key + "@0", provider.createKey(key, User.options()).getVersionName());
  }

  @Test
  public void flushAndInvalidateDoNoHarm() throws Exception {
    provider.createKey(key, User.options());
    provider.flush();
    provider.invalidateCache(key);
    assertNotNull(provider.getCurrentKey(key));
  }

  /** Newer clients do so after every delete. */
  @Test
  public void invalidateOfAMissingKeySucceeds() throws Exception {
    Able.needToForgetMissingKeys();
    provider.invalidateCache(key);
  }

  /** The client puts a space into a path as a plus sign and nobody turns it back; the other ways to a key work. */
  @Test
  public void nameWithASpace() throws Exception {
    String special = key + " %^[\n{]}|\"<>\\";
    KeyVersion created = provider.createKey(special, User.options().setDescription("special"));
    assertEquals(special, created.getName());
    assertEquals(special + "@0", created.getVersionName());
    assertNotNull(created.getMaterial());
    assertTrue(provider.getKeys().contains(special));
    assertEquals("special", provider.getKeysMetadata(special)[0].getDescription());
    assertNull(provider.getMetadata(special));
  }

  // ---- encrypted keys

  @Test
  public void generatedKeysDecrypt() throws Exception {
    for (int length : new int[] {128, 256}) {
      String name = key + "-" + length;
      provider.createKey(name, bits(length));
      Set<String> seen = new HashSet<>();
      for (int i = 0; i < 5; i++) {
        EncryptedKeyVersion e = provider.generateEncryptedKey(name);
        assertEquals(name, e.getEncryptionKeyName());
        assertEquals(name + "@0", e.getEncryptionKeyVersionName());
        assertEquals(KeyProviderCryptoExtension.EEK, e.getEncryptedKeyVersion().getVersionName());
        assertEquals(16, e.getEncryptedKeyIv().length);
        assertEquals(length / 8, eek(e).length);
        KeyVersion dek = provider.decryptEncryptedKey(e);
        assertEquals(KeyProviderCryptoExtension.EK, dek.getVersionName());
        assertEquals(length / 8, dek.getMaterial().length);
        assertArrayEquals(dek.getMaterial(), provider.decryptEncryptedKey(e).getMaterial());
        assertTrue("no key and no iv comes twice", seen.add(Hex.encodeHexString(dek.getMaterial()))
            && seen.add(Hex.encodeHexString(e.getEncryptedKeyIv())));
      }
    }
  }

  /** Recomputes the answer with the JDK's cipher: other servers must be able to read what this one wrapped. */
  @Test
  public void generatedKeysAreCounterMode() throws Exception {
    byte[] material = provider.createKey(key, bits(256)).getMaterial();
    EncryptedKeyVersion e = provider.generateEncryptedKey(key);
    byte[] iv = e.getEncryptedKeyIv().clone();
    for (int i = 0; i < iv.length; i++) {
      iv[i] ^= 0xff;
    }
    Cipher cipher = Cipher.getInstance("AES/CTR/NoPadding");
    cipher.init(Cipher.DECRYPT_MODE, new SecretKeySpec(material, "AES"), new IvParameterSpec(iv));
    assertArrayEquals(cipher.doFinal(eek(e)), provider.decryptEncryptedKey(e).getMaterial());
  }

  @Test
  public void knownAnswers() throws Exception {
    byte[] iv = hex("00112233445566778899aabbccddeeff");
    byte[] dek = hex("fb00ff3e11223344556677889900aabb");
    provider.createKey(key, hex("000102030405060708090a0b0c0d0e0f"), User.options());
    EncryptedKeyVersion old = EncryptedKeyVersion.createForDecryption(key, key + "@0", iv,
        hex("e087dc46687d7cb9224e22741eca3cf6"));
    assertArrayEquals(dek, provider.decryptEncryptedKey(old).getMaterial());

    provider.rollNewVersion(key, hex("f0e1d2c3b4a5968778695a4b3c2d1e0f"));
    EncryptedKeyVersion now = provider.reencryptEncryptedKey(old);
    assertEquals(key + "@1", now.getEncryptionKeyVersionName());
    assertArrayEquals(iv, now.getEncryptedKeyIv());
    assertArrayEquals(hex("c78c0322ddec4088b9be5829d8f37795"), eek(now));
    assertArrayEquals(dek, provider.decryptEncryptedKey(now).getMaterial());
    assertArrayEquals(dek, provider.decryptEncryptedKey(old).getMaterial());

    // 256 bits, and an iv whose complement overflows the counter.
    byte[] longDek = new byte[32];
    for (int i = 0; i < 32; i++) {
      longDek[i] = (byte) (7 * i + 3);
    }
    provider.createKey(key + "-256", bytes(32, 0), bits(256));
    EncryptedKeyVersion wrap = EncryptedKeyVersion.createForDecryption(key + "-256", key + "-256@0", new byte[16],
        hex("ea93f50553815dee68c5582b0ad1328281ea813ea5df0274024123aa1ae0a25c"));
    assertArrayEquals(longDek, provider.decryptEncryptedKey(wrap).getMaterial());
  }

  @Test
  public void decryptRefusesWhatDoesNotFit() throws Exception {
    provider.createKey(key, User.options());
    provider.createKey(key + "-other", User.options());
    EncryptedKeyVersion e = provider.generateEncryptedKey(key);

    IllegalArgumentException missing = assertThrows(IllegalArgumentException.class, () -> provider.decryptEncryptedKey(
        EncryptedKeyVersion.createForDecryption(key, key + "@7", e.getEncryptedKeyIv(), eek(e))));
    assertTrue(missing.toString(), missing.getMessage().contains("'" + key + "@7' not found"));

    IllegalArgumentException foreign = assertThrows(IllegalArgumentException.class, () -> provider.decryptEncryptedKey(
        EncryptedKeyVersion.createForDecryption(key, key + "-other@0", e.getEncryptedKeyIv(), eek(e))));
    assertTrue(foreign.toString(), foreign.getMessage().contains(
        "KeyVersion '" + key + "-other@0' does not belong to the key '" + key + "'"));

    assertThrows(Exception.class, () -> provider.decryptEncryptedKey(
        EncryptedKeyVersion.createForDecryption(key, key + "@0", new byte[5], eek(e))));
  }

  @Test
  public void generateForAMissingKeyFails() {
    assertThrows(IOException.class, () -> provider.generateEncryptedKey(key));
  }

  @Test
  public void reencryptMovesToTheCurrentVersion() throws Exception {
    provider.createKey(key, User.options());
    EncryptedKeyVersion old = provider.generateEncryptedKey(key);
    byte[] dek = provider.decryptEncryptedKey(old).getMaterial();
    EncryptedKeyVersion same = provider.reencryptEncryptedKey(old);
    assertEquals(key + "@0", same.getEncryptionKeyVersionName());
    assertArrayEquals(eek(old), eek(same));

    provider.rollNewVersion(key);
    EncryptedKeyVersion now = provider.reencryptEncryptedKey(old);
    assertEquals(key, now.getEncryptionKeyName());
    assertEquals(key + "@1", now.getEncryptionKeyVersionName());
    assertArrayEquals(old.getEncryptedKeyIv(), now.getEncryptedKeyIv());
    assertFalse(Arrays.equals(eek(old), eek(now)));
    assertArrayEquals(dek, provider.decryptEncryptedKey(now).getMaterial());
  }

  /** What the NameNode sends: a thousand at once, of all ages. */
  @Test
  public void reencryptBatch() throws Exception {
    provider.createKey(key, User.options());
    List<EncryptedKeyVersion> batch = new ArrayList<>();
    List<byte[]> deks = new ArrayList<>();
    EncryptedKeyVersion[] origin = new EncryptedKeyVersion[3];
    byte[][] dek = new byte[3][];
    for (int version = 0; version < 3; version++) {
      if (version > 0) {
        provider.rollNewVersion(key);
        provider.drain(key);
      }
      origin[version] = provider.generateEncryptedKey(key);
      dek[version] = provider.decryptEncryptedKey(origin[version]).getMaterial();
    }
    for (int i = 0; i < 1000; i++) {
      batch.add(origin[i % 3]);
      deks.add(dek[i % 3]);
    }
    provider.reencryptEncryptedKeys(batch);
    assertEquals(1000, batch.size());
    for (int i = 0; i < 1000; i++) {
      assertEquals(key + "@2", batch.get(i).getEncryptionKeyVersionName());
      assertArrayEquals(origin[i % 3].getEncryptedKeyIv(), batch.get(i).getEncryptedKeyIv());
      if (i % 97 == 0) {
        // Entries that were current may come back without a key name; the NameNode takes it from the zone then.
        EncryptedKeyVersion e = EncryptedKeyVersion.createForDecryption(key, batch.get(i).getEncryptionKeyVersionName(),
            batch.get(i).getEncryptedKeyIv(), eek(batch.get(i)));
        assertArrayEquals(deks.get(i), provider.decryptEncryptedKey(e).getMaterial());
      }
    }
  }

  @Test
  public void reencryptBatchOfNothing() throws Exception {
    List<EncryptedKeyVersion> nothing = new ArrayList<>();
    provider.reencryptEncryptedKeys(nothing);
    assertTrue(nothing.isEmpty());
  }

  @Test
  public void reencryptBatchWithAMissingVersionFails() throws Exception {
    provider.createKey(key, User.options());
    EncryptedKeyVersion good = provider.generateEncryptedKey(key);
    EncryptedKeyVersion bad = EncryptedKeyVersion.createForDecryption(key, key + "@9", good.getEncryptedKeyIv(), eek(good));
    List<EncryptedKeyVersion> batch = new ArrayList<>(Arrays.asList(good, bad));
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> provider.reencryptEncryptedKeys(batch));
    assertTrue(e.toString(), e.getMessage().contains("'" + key + "@9' not found"));
  }

  @Test
  public void warmUpFillsTheClientsQueue() throws Exception {
    provider.createKey(key, User.options());
    provider.createKey(key + "-b", User.options());
    provider.warmUpEncryptedKeys(key, key + "-b");
    assertNotNull(provider.decryptEncryptedKey(provider.generateEncryptedKey(key)));
    assertNotNull(provider.decryptEncryptedKey(provider.generateEncryptedKey(key + "-b")));
  }

  /** The client holds encrypted keys in stock. Those of the old version must stay good, and drain must end them. */
  @Test
  public void drainEndsOldEncryptedKeys() throws Exception {
    provider.createKey(key, User.options());
    assertEquals(key + "@0", provider.generateEncryptedKey(key).getEncryptionKeyVersionName());
    KeyProviderCryptoExtension other = connect();
    other.rollNewVersion(key);
    other.close();
    EncryptedKeyVersion stock = provider.generateEncryptedKey(key);
    assertEquals(key + "@0", stock.getEncryptionKeyVersionName());
    assertEquals(16, provider.decryptEncryptedKey(stock).getMaterial().length);
    provider.drain(key);
    provider.invalidateCache(key);
    assertEquals(key + "@1", provider.generateEncryptedKey(key).getEncryptionKeyVersionName());
  }

  @Test
  public void rollByThisClientGivesNewEncryptedKeys() throws Exception {
    provider.createKey(key, User.options());
    provider.generateEncryptedKey(key);
    provider.rollNewVersion(key);
    assertEquals(key + "@1", provider.generateEncryptedKey(key).getEncryptionKeyVersionName());
  }
}
