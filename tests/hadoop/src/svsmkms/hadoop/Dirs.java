// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;

/** Where files go: below the build directory, never into the source tree. */
public final class Dirs {
  private static final File WORK = new File(System.getProperty("svsmkms.work", "build/hadoop/work")).getAbsoluteFile();

  private Dirs() {
  }

  public static File logs() {
    File dir = new File(WORK, "logs");
    dir.mkdirs();
    return dir;
  }

  public static File temporary(String prefix) throws IOException {
    File parent = new File(WORK, "tmp");
    parent.mkdirs();
    return Files.createTempDirectory(parent.toPath(), prefix + "-").toFile();
  }
}
