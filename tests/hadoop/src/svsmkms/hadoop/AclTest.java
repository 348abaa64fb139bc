// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.crypto.key.KeyProviderCryptoExtension.EncryptedKeyVersion;
import org.apache.hadoop.security.authorize.AuthorizationException;
import org.junit.AfterClass;
import org.junit.BeforeClass;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;

/** Who may call which operation. Each operation has a user of its own, named like it, and "boss" may everything. */
public class AclTest {
  private static final String[] TYPES = {"CREATE", "DELETE", "ROLLOVER", "GET", "GET_KEYS", "GET_METADATA",
      "SET_KEY_MATERIAL", "GENERATE_EEK", "DECRYPT_EEK"};
  private static KmsServer server;
  private static User boss;

  @Rule public final Timeout limit = Timeout.seconds(180);

  @BeforeClass
  public static void start() throws Exception {
    KmsServer.Setup setup = new KmsServer.Setup();
    for (String type : TYPES) {
      setup.acl("hadoop.kms.acl." + type, user(type) + ",boss,banned, spaced ");
      setup.acl("hadoop.kms.blacklist." + type, "banned,someone-else");
    }
    // "daemon" and "bin" are users and groups of their own on every Linux, "ann" is known to the configuration only.
    setup.site("svsm.kms.groups.os", "true");
    setup.core("hadoop.user.group.static.mapping.overrides", "ann=staff-of-ours,daemons;boss=");
    setup.acl("hadoop.kms.acl.GET_METADATA", user("GET_METADATA") + ",boss daemon,staff-of-ours,no-such-group");
    setup.acl("hadoop.kms.acl.GET_KEYS", user("GET_KEYS") + ",boss");
    setup.acl("hadoop.kms.acl.CREATE", user("CREATE") + ",boss,banned,create-set");
    setup.acl("hadoop.kms.acl.SET_KEY_MATERIAL", user("SET_KEY_MATERIAL") + ",boss,create-set");
    server = setup.start();
    boss = new User("boss", server);
    boss.creates("k");
  }

  @AfterClass
  public static void stop() throws Exception {
    KmsServer.close(server);
  }

  private static String user(String type) {
    return "u-" + type.toLowerCase();
  }

  private static Map<String, User.Call<?>> calls(EncryptedKeyVersion eek) {
    Map<String, User.Call<?>> calls = new LinkedHashMap<>();
    calls.put("GET_KEYS", p -> p.getKeys());
    calls.put("GET_METADATA", p -> p.getMetadata("k"));
    calls.put("GET_METADATA many", p -> p.getKeysMetadata("k"));
    calls.put("GET current", p -> p.getCurrentKey("k"));
    calls.put("GET version", p -> p.getKeyVersion("k@0"));
    calls.put("GET versions", p -> p.getKeyVersions("k"));
    calls.put("GENERATE_EEK", p -> p.generateEncryptedKey("k"));
    calls.put("GENERATE_EEK reencrypt", p -> p.reencryptEncryptedKey(eek));
    calls.put("GENERATE_EEK batch", p -> {
      p.reencryptEncryptedKeys(new ArrayList<>(Arrays.asList(eek)));
      return null;
    });
    calls.put("DECRYPT_EEK", p -> p.decryptEncryptedKey(eek));
    return calls;
  }

  @Test
  public void eachOperationNeedsItsOwnRight() throws Exception {
    EncryptedKeyVersion eek = boss.does(p -> p.generateEncryptedKey("k"));
    for (String type : TYPES) {
      User user = new User(user(type), server);
      for (Map.Entry<String, User.Call<?>> call : calls(eek).entrySet()) {
        if (call.getKey().split(" ")[0].equals(type)) {
          user.does(call.getValue());
        } else {
          String message = user.refused(call.getValue()).getMessage();
          assertTrue(message, message.contains("User:" + user(type) + " not allowed to do '"));
        }
      }
    }
  }

  @Test
  public void refusalsNameTheOperationAndTheKey() throws Exception {
    User nobody = new User("nobody", server);
    EncryptedKeyVersion eek = boss.does(p -> p.generateEncryptedKey("k"));
    assertEquals("User:nobody not allowed to do 'CREATE_KEY' on 'new'",
        nobody.refused(p -> p.createKey("new", User.options())).getMessage());
    assertEquals("User:nobody not allowed to do 'DELETE_KEY' on 'k'", message(nobody, p -> {
      p.deleteKey("k");
      return null;
    }));
    assertEquals("User:nobody not allowed to do 'ROLL_NEW_VERSION' on 'k'", message(nobody, p -> p.rollNewVersion("k")));
    assertEquals("User:nobody not allowed to do 'GET_KEYS'", message(nobody, p -> p.getKeys()));
    assertEquals("User:nobody not allowed to do 'GET_METADATA' on 'k'", message(nobody, p -> p.getMetadata("k")));
    assertEquals("User:nobody not allowed to do 'GET_KEYS_METADATA'", message(nobody, p -> p.getKeysMetadata("k")));
    assertEquals("User:nobody not allowed to do 'GET_CURRENT_KEY' on 'k'", message(nobody, p -> p.getCurrentKey("k")));
    assertEquals("User:nobody not allowed to do 'GET_KEY_VERSION'", message(nobody, p -> p.getKeyVersion("k@0")));
    assertEquals("User:nobody not allowed to do 'GET_KEY_VERSIONS' on 'k'", message(nobody, p -> p.getKeyVersions("k")));
    assertEquals("User:nobody not allowed to do 'GENERATE_EEK' on 'k'", message(nobody, p -> p.generateEncryptedKey("k")));
    assertEquals("User:nobody not allowed to do 'REENCRYPT_EEK' on 'k'",
        message(nobody, p -> p.reencryptEncryptedKey(eek)));
    assertEquals("User:nobody not allowed to do 'DECRYPT_EEK' on 'k'", message(nobody, p -> p.decryptEncryptedKey(eek)));
  }

  private static String message(User user, User.Call<?> call) {
    return user.refused(call).getMessage();
  }

  @Test
  public void createRollAndDelete() throws Exception {
    User create = new User(user("CREATE"), server);
    assertNull("without GET no material", create.creates("c1").getMaterial());
    create.refused(p -> p.createKey("c2", new byte[16], User.options()));
    new User(user("SET_KEY_MATERIAL"), server).refused(p -> p.createKey("c2", new byte[16], User.options()));
    User both = new User("create-set", server);
    assertNull(both.does(p -> p.createKey("c2", new byte[16], User.options())).getMaterial());

    User roll = new User(user("ROLLOVER"), server);
    assertNull(roll.does(p -> p.rollNewVersion("c1")).getMaterial());
    roll.refused(p -> p.rollNewVersion("c1", new byte[16]));
    roll.does(p -> {
      p.invalidateCache("c1");
      return null;
    });
    create.refused(p -> p.rollNewVersion("c1"));
    create.refused(p -> {
      p.deleteKey("c1");
      return null;
    });
    assertNotNull(boss.does(p -> p.rollNewVersion("c1", new byte[16])).getMaterial());

    User delete = new User(user("DELETE"), server);
    delete.refused(p -> p.createKey("c3", User.options()));
    // Newer clients drop the servers' caches after the delete, which must be within the right to delete.
    delete.does(p -> {
      p.deleteKey("c1");
      return null;
    });
    assertNull(boss.does(p -> p.getMetadata("c1")));
    assertNull(boss.does(p -> p.getMetadata("c3")));
  }

  @Test
  public void blacklistBeatsTheAcl() throws Exception {
    User banned = new User("banned", server);
    EncryptedKeyVersion eek = boss.does(p -> p.generateEncryptedKey("k"));
    for (User.Call<?> call : calls(eek).values()) {
      banned.refused(call);
    }
    banned.refused(p -> p.createKey("b", User.options()));
    banned.refused(p -> p.rollNewVersion("k"));
  }

  @Test
  public void blanksAroundNamesDoNotCount() throws Exception {
    // The first blank ends the users, so " spaced " is a group here and gives the user of that name nothing.
    new User("spaced", server).refused(p -> p.getCurrentKey("k"));
  }

  @Test
  public void groupsCount() throws Exception {
    assertNotNull(new User("daemon", server).does(p -> p.getMetadata("k")));
    assertNotNull(new User("ann", server).does(p -> p.getMetadata("k")));
    new User("daemon", server).refused(p -> p.getKeys());
    new User("bin", server).refused(p -> p.getMetadata("k"));
  }

  @Test
  public void aclFileIsReadAgain() throws Exception {
    try (KmsServer other = new KmsServer.Setup().start()) {
      User user = new User("user", other);
      user.creates("k");
      Map<String, String> acls = new LinkedHashMap<>();
      acls.put("hadoop.kms.acl.GET", "somebody");
      acls.put("default.key.acl.READ", "*");
      Thread.sleep(1100);  // a change within the same second may go unseen
      other.writeAcls(acls);
      List<String> seen = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        try {
          user.does(p -> p.getCurrentKey("k"));
        } catch (AuthorizationException e) {
          seen.add(e.getMessage());
          break;
        }
        Thread.sleep(100);
      }
      assertEquals("[User:user not allowed to do 'GET_CURRENT_KEY' on 'k']", seen.toString());
    }
  }
}
