// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import java.util.Arrays;
import java.util.List;
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

  static String reason(String ability) {
    return "needs " + ability;
  }
}
