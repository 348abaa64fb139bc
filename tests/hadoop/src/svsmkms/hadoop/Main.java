// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.Request;
import org.junit.runner.manipulation.Filter;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

/** Runs one suite, prints a line per test, and leaves the three counts in a file for run.sh. */
public final class Main {
  private static final Class<?>[] CLIENT = {KeyShellTest.class, ProviderTest.class, KeyNameTest.class, AclTest.class,
      KeyAclTest.class, ProxyUserTest.class, SessionTest.class, FailoverTest.class, TokenTest.class, LoadTest.class};
  private static final Class<?>[] HDFS = {HdfsTest.class};
  private static final Class<?>[] SECURE = {KerberosTest.class, SecureHdfsTest.class};

  /** Of Hadoop's tests, those whose configuration does not tell what they need. */
  private static final Map<String, String> NEEDS = new LinkedHashMap<>();

  static {
    NEEDS.put("TestKMS.testACLs", "a server in the test's own process");
    NEEDS.put("TestKMS.testDelegationTokensOpsHttpPseudo", "tokens");
    NEEDS.put("TestKMS.testDelegationTokensUpdatedInUGI", "tokens");
    NEEDS.put("TestKMS.testStartStopHttpPseudo", "tokens");
    NEEDS.put("TestKMS.testProxyUserSimple", "proxyuser");
    NEEDS.put("TestKMS.testWebHDFSProxyUserSimple", "proxyuser");
  }

  private Main() {
  }

  public static void main(String[] args) throws Exception {
    String suite = args[0];
    Class<?>[] classes;
    switch (suite) {
      case "client":
        classes = CLIENT;
        break;
      case "hdfs":
        classes = HDFS;
        break;
      case "secure":
        classes = SECURE;
        break;
      case "testkms":
        classes = new Class<?>[] {Class.forName("org.apache.hadoop.crypto.key.kms.server.TestKMS")};
        break;
      default:
        throw new IllegalArgumentException("no suite " + suite);
    }
    Report report = new Report(suite, new File(args[1]));
    if (suite.equals("testkms") && System.getProperty("kms.only", "").isEmpty()) {
      NEEDS.forEach((test, ability) -> {
        if (!Able.to(ability)) {
          report.leaveOut(test, Able.reason(ability));
        }
      });
    }
    System.setOut(System.err);  // the terminal is for the report only
    JUnitCore core = new JUnitCore();
    core.addListener(report);
    Request all = Request.classes(classes);
    Only only = new Only(System.getProperty("kms.only", ""));
    if (only.shouldRun(all.getRunner().getDescription())) {
      core.run(all.filterWith(only));
    }
    report.save("done");
    System.exit(report.failed == 0 ? 0 : 1);  // some of Hadoop's threads would keep the process alive
  }

  /** CLASS or CLASS.METHOD; nothing means everything. */
  private static final class Only extends Filter {
    private final String wanted;

    Only(String wanted) {
      this.wanted = wanted;
    }

    @Override
    public boolean shouldRun(Description test) {
      String need = NEEDS.get(Report.name(test));
      if (need != null && !Able.to(need)) {
        return false;
      }
      if (test.isSuite()) {
        return test.getChildren().stream().anyMatch(this::shouldRun);
      }
      return (Report.name(test) + ".").startsWith(wanted.isEmpty() ? "" : wanted + ".")
          || Report.name(test).startsWith(wanted + "[");
    }

    @Override
    public String describe() {
      return wanted;
    }
  }

  private static final class Report extends RunListener {
    private final String suite;
    private final File counts;
    private final PrintStream out = System.out;
    // What did not pass, since the end of a test does not tell.
    private final Set<String> settled = new HashSet<>();
    private long started;
    private int passed;
    private int failed;
    private int skipped;

    Report(String suite, File counts) {
      this.suite = suite;
      this.counts = counts;
    }

    @Override
    public void testSuiteStarted(Description suite) {
      started = System.nanoTime();
    }

    @Override
    public void testStarted(Description test) {
      started = System.nanoTime();
    }

    @Override
    public void testFailure(Failure failure) throws Exception {
      failed++;
      line("FAILED", failure.getDescription(), "");
      File trace = new File(Dirs.logs(), name(failure.getDescription()).replaceAll("[^A-Za-z0-9.]", "_") + ".trace");
      Files.write(trace.toPath(), failure.getTrace().getBytes(StandardCharsets.UTF_8));
      out.println("        " + String.valueOf(failure.getException()).replace("\n", "\n        "));
      for (StackTraceElement frame : failure.getException().getStackTrace()) {
        if (frame.getClassName().startsWith("svsmkms.") || frame.getClassName().contains(".TestKMS")) {
          out.println("        at " + frame);
          break;
        }
      }
      out.println("        details in " + trace);
    }

    @Override
    public void testAssumptionFailure(Failure failure) {
      skipped++;
      String reason = failure.getMessage();
      line("skipped", failure.getDescription(), reason == null ? "" : ": " + reason.split("\n")[0]);
    }

    @Override
    public void testIgnored(Description test) {
      skipped++;
      line("skipped", test, "");
    }

    @Override
    public void testFinished(Description test) {
      if (!settled.contains(test.getDisplayName())) {
        passed++;
        line("ok", test, "");
      }
    }

    void leaveOut(String test, String reason) {
      skipped++;
      out.printf("skipped %-7s %s: %s%n", suite, test, reason);
      save("running");
    }

    private void line(String result, Description test, String reason) {
      settled.add(test.getDisplayName());
      double seconds = (System.nanoTime() - started) / 1e9;
      out.printf("%-7s %-7s %s (%.1f s)%s%n", result, suite, name(test), seconds, reason);
      save("running");
    }

    private static String name(Description test) {
      String type = test.getTestClass() == null ? test.getDisplayName() : test.getTestClass().getSimpleName();
      return test.getMethodName() == null ? type : type + "." + test.getMethodName();
    }

    /** After every test, so that the counts are there even if something ends the process. */
    void save(String state) {
      try {
        String line = passed + " " + failed + " " + skipped + " " + state + "\n";
        Files.write(counts.toPath(), line.getBytes(StandardCharsets.UTF_8));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
