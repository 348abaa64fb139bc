// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.crypto.key.KeyShell;
import org.apache.hadoop.util.ToolRunner;
import org.junit.AfterClass;
import org.junit.BeforeClass;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;

/** The command "hadoop key". */
public class KeyShellTest {
  private static KmsServer server;

  @Rule public final Timeout limit = Timeout.seconds(180);
  private String output;

  @BeforeClass
  public static void start() throws Exception {
    server = new KmsServer.Setup().start();
  }

  @AfterClass
  public static void stop() throws Exception {
    KmsServer.close(server);
  }

  private int key(String... words) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream stream = new PrintStream(bytes, true, "UTF-8");
    KeyShell shell = new KeyShell();
    shell.setConf(new Configuration());
    shell.setOut(stream);
    shell.setErr(stream);
    String[] args = Arrays.copyOf(words, words.length + 2);
    args[words.length] = "-provider";
    args[words.length + 1] = server.uri().toString();
    int code = ToolRunner.run(shell, args);
    output = bytes.toString("UTF-8");
    return code;
  }

  private void works(String... words) throws Exception {
    int code = key(words);
    assertEquals(String.join(" ", words) + " said: " + output, 0, code);
  }

  private void fails(String... words) throws Exception {
    int code = key(words);
    assertNotEquals(String.join(" ", words) + " said: " + output, 0, code);
  }

  private void says(String text) {
    assertTrue("expected \"" + text + "\" in: " + output, output.contains(text));
  }

  /** The line of "list -metadata" that describes one key. */
  private String metadata(String key) throws Exception {
    works("list", "-metadata");
    for (String line : output.split("\n")) {
      if (line.startsWith(key + " : ")) {
        return line;
      }
    }
    throw new AssertionError("no " + key + " in: " + output);
  }

  @Test
  public void createWithDefaults() throws Exception {
    works("create", "plain");
    says("plain has been successfully created");
    String line = metadata("plain");
    assertTrue(line, line.contains("cipher: AES/CTR/NoPadding"));
    assertTrue(line, line.contains("length: 128"));
    assertTrue(line, line.contains("description: null"));
    assertTrue(line, line.contains("version: 1"));
    assertTrue(line, line.contains("attributes: [key.acl.name=plain]"));
  }

  @Test
  public void createWithEverything() throws Exception {
    works("create", "full", "-size", "256", "-cipher", "AES/CTR/NoPadding", "-description", "Grüße, \"quoted\" & <so on>",
        "-attr", "team=storage", "-attr", "key.acl.name=shared");
    String line = metadata("full");
    assertTrue(line, line.contains("length: 256"));
    assertTrue(line, line.contains("description: Grüße, \"quoted\" & <so on>"));
    assertTrue(line, line.contains("team=storage"));
    assertTrue(line, line.contains("key.acl.name=shared"));
  }

  @Test
  public void listShowsEveryKeyOnce() throws Exception {
    works("create", "list-a");
    works("create", "list-b");
    works("roll", "list-a");
    works("list");
    List<String> lines = Arrays.asList(output.split("\n"));
    assertEquals(output, 1, Collections.frequency(lines, "list-a"));
    assertEquals(output, 1, Collections.frequency(lines, "list-b"));
    assertFalse(output, lines.contains("list-a@0"));
  }

  @Test
  public void rollAddsAVersion() throws Exception {
    works("create", "rolled");
    works("roll", "rolled");
    says("rolled has been successfully rolled");
    works("roll", "rolled");
    assertTrue(output, metadata("rolled").contains("version: 3"));
  }

  @Test
  public void invalidateCache() throws Exception {
    works("create", "cached");
    works("invalidateCache", "cached");
    says("cached has been successfully invalidated");
  }

  @Test
  public void invalidateCacheOfAMissingKeySucceeds() throws Exception {
    Able.needToForgetMissingKeys();
    works("invalidateCache", "never-was");
  }

  @Test
  public void deleteRemovesTheKey() throws Exception {
    works("create", "doomed");
    works("roll", "doomed");
    works("delete", "doomed", "-f");
    says("doomed has been successfully deleted");
    works("list");
    assertFalse(output, output.contains("doomed"));
    works("create", "doomed");
    assertTrue(output, metadata("doomed").contains("version: 1"));
  }

  @Test
  public void createTwiceFailsAndKeepsTheFirst() throws Exception {
    works("create", "twice", "-description", "the first");
    fails("create", "twice", "-description", "the second");
    says("twice has not been created");
    says("already exists");
    assertTrue(output, metadata("twice").contains("the first"));
  }

  @Test
  public void createRefusesAWrongSize() throws Exception {
    fails("create", "odd", "-size", "100");
    says("odd has not been created");
    works("list");
    assertFalse(output, output.contains("odd"));
  }

  @Test
  public void createRefusesAnUnknownAlgorithm() throws Exception {
    fails("create", "rot", "-cipher", "ROT13/CTR/NoPadding");
    works("list");
    assertFalse(output, output.contains("rot"));
  }

  @Test
  public void createRefusesUpperCase() throws Exception {
    fails("create", "Upper");
    says("Uppercase key names are unsupported");
  }

  @Test
  public void rollAndDeleteOfAMissingKeyFail() throws Exception {
    fails("roll", "nowhere");
    fails("delete", "nowhere", "-f");
  }
}
