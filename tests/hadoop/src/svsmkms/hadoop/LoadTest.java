// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension.EncryptedKeyVersion;
import org.junit.After;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;

/** Many clients at once. No measurement: nothing may fail or be mixed up. */
public class LoadTest {
  private static final int THREADS = 32;

  @Rule public final Timeout limit = Timeout.seconds(180);
  private KmsServer server;

  private interface Work {
    void run(int thread) throws Exception;
  }

  @Before
  public void start() throws Exception {
    server = new KmsServer.Setup().start();
  }

  @After
  public void stop() throws Exception {
    KmsServer.close(server);
  }

  private static void inParallel(Work work) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(THREADS);
    try {
      List<Future<?>> all = new ArrayList<>();
      for (int t = 0; t < THREADS; t++) {
        int thread = t;
        all.add(pool.submit(() -> {
          work.run(thread);
          return null;
        }));
      }
      for (Future<?> each : all) {
        each.get();
      }
    } finally {
      pool.shutdownNow();
    }
  }

  @Test
  public void oneClientManyThreads() throws Exception {
    try (KeyProviderCryptoExtension p = User.connect(server.uri())) {
      p.createKey("k", User.options());
      inParallel(thread -> {
        for (int i = 0; i < 20; i++) {
          EncryptedKeyVersion eek = p.generateEncryptedKey("k");
          byte[] dek = p.decryptEncryptedKey(eek).getMaterial();
          for (int j = 0; j < 3; j++) {
            assertArrayEquals(dek, p.decryptEncryptedKey(eek).getMaterial());
          }
        }
      });
    }
  }

  /** Each with a user, a connection and a key of its own, and one key that all of them roll. */
  @Test
  public void manyClients() throws Exception {
    User first = new User("first", server);
    first.creates("common");
    inParallel(thread -> {
      User user = new User("user" + thread, server);
      String key = "own" + thread;
      byte[] material = user.creates(key).getMaterial();
      for (int i = 0; i < 10; i++) {
        assertArrayEquals(material, user.does(p -> p.getKeyVersion(key + "@0")).getMaterial());
        EncryptedKeyVersion eek = user.does(p -> p.generateEncryptedKey(key));
        byte[] dek = user.does(p -> p.decryptEncryptedKey(eek)).getMaterial();
        assertArrayEquals(dek, user.does(p -> p.decryptEncryptedKey(eek)).getMaterial());
        assertEquals(key, user.does(p -> p.getMetadata(key)).getAttributes().get("key.acl.name"));
      }
      user.does(p -> p.rollNewVersion("common"));
      user.does(p -> {
        p.deleteKey(key);
        return null;
      });
    });
    assertEquals(THREADS + 1, first.does(p -> p.getMetadata("common")).getVersions());
    assertEquals(THREADS + 1, first.does(p -> p.getKeyVersions("common")).size());
    assertEquals("[common]", first.does(p -> p.getKeys()).toString());
  }
}
