// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.util.VersionInfo;
import org.junit.AssumptionViolatedException;

/** What the server under test can do beyond http with simple authentication; tests that need more are skipped. */
public final class Able {
  private static final List<String> ABILITIES = Arrays.asList(System.getProperty("kms.able", "").split("\\s+"));

  private Able() {
  }

  static boolean to(String ability) {
    return ABILITIES.contains(ability);
  }

  public static void need(String ability) {
    if (!to(ability)) {
      throw new AssumptionViolatedException(reason(ability));
    }
  }

  /** The original server of 3.3 fails when told to forget a key that it does not have; ours and that of 3.4 do not. */
  static void needToForgetMissingKeys() {
    if (KmsServer.isReference() && VersionInfo.getVersion().startsWith("3.3.")) {
      throw new AssumptionViolatedException("the reference of 3.3 cannot invalidate missing keys");
    }
  }

  static String reason(String ability) {
    return "needs " + ability;
  }
}
