// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.hdfs.MiniDFSCluster;

/** An HDFS of one DataNode, below the build directory, that has its keys on the server under test. */
final class Hdfs implements Closeable {
  private final MiniDFSCluster cluster;
  private final File dir;

  Hdfs(String name, Configuration conf) throws IOException {
    dir = Dirs.temporary(name);
    cluster = new MiniDFSCluster.Builder(conf, dir).numDataNodes(1).build();
    cluster.waitActive();
  }

  /** What every client and daemon needs on top of `base`. */
  static Configuration conf(Configuration base, KmsServer server, String client) {
    base.set("hadoop.security.key.provider.path", server.uri().toString());
    // HDFS clients of one process share a connection, and with it its user, unless their contexts differ.
    base.set("dfs.client.context", client);
    base.setInt("dfs.replication", 1);
    return base;
  }

  /** The same bytes for the same seed. */
  static byte[] content(int length, long seed) {
    byte[] bytes = new byte[length];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  URI uri() throws IOException {
    return cluster.getURI();
  }

  static void close(Hdfs hdfs) {
    if (hdfs != null) {
      hdfs.close();
    }
  }

  @Override
  public void close() {
    cluster.shutdown();
    FileUtil.fullyDelete(dir);
  }
}
