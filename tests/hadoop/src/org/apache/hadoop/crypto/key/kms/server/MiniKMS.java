// SPDX-License-Identifier: Apache-2.0
package org.apache.hadoop.crypto.key.kms.server;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.net.MalformedURLException;
import java.net.URL;
import java.nio.file.Files;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.UserGroupInformation;
import svsmkms.hadoop.Able;
import svsmkms.hadoop.KmsServer;

/**
 * Stands in for the class of the same name in Hadoop's tests, being earlier on the class path: instead of a server in
 * the test's own process it starts the one under test, on the configuration that the test has written.
 */
public class MiniKMS {
  private static final Set<File> IN_USE = ConcurrentHashMap.newKeySet();

  private final File conf;
  private final File keyStore;
  private final String password;
  private final int port;
  private KmsServer server;
  private File data;

  private MiniKMS(File conf, File keyStore, String password, int port) {
    this.conf = conf;
    this.keyStore = keyStore;
    this.password = password;
    this.port = port;
  }

  /** The part of the original's interface that its users need. */
  public static class Builder {
    private File conf;
    private File keyStore;
    private String password;
    private int port;

    public Builder setKmsConfDir(File dir) {
      conf = dir;
      return this;
    }

    public Builder setLog4jConfFile(String file) {
      return this;
    }

    public Builder setPort(int port) {
      this.port = port;
      return this;
    }

    public Builder setSslConf(File keyStore, String password) {
      this.keyStore = keyStore;
      this.password = password;
      return this;
    }

    public MiniKMS build() throws IOException {
      return new MiniKMS(conf, keyStore, password, port > 0 ? port : KmsServer.freePort());
    }
  }

  public void start() throws Exception {
    writeIfMissing("kms-site.xml", Collections.singletonMap("hadoop.kms.authentication.type", "simple"));
    Configuration site = new Configuration();
    site.addResource(new File(conf, "kms-site.xml").toURI().toURL());
    if ("kerberos".equals(site.get("hadoop.kms.authentication.type"))) {
      Able.need("kerberos");
    }
    if (keyStore != null) {
      Able.need("https");
    }
    if ("zookeeper".equals(site.get("hadoop.kms.authentication.signer.secret.provider"))
        || site.getBoolean("hadoop.kms.authentication.zk-dt-secret-manager.enable", false)) {
      Able.need("zookeeper");
    }

    Map<String, String> open = new LinkedHashMap<>();
    for (String type : new String[] {"MANAGEMENT", "GENERATE_EEK", "DECRYPT_EEK", "READ"}) {
      open.put("default.key.acl." + type, "*");
    }
    writeIfMissing("kms-acls.xml", open);
    writeIfMissing("core-site.xml", Collections.emptyMap());
    addToSite();
    // A server that is started again on its configuration finds its keys; one beside it has its own.
    data = new File(conf, "data");
    if (!IN_USE.add(data)) {
      data = new File(conf, "data-" + port);
      IN_USE.add(data);
    }
    data.mkdirs();
    // A server in this process would have done so, and the tests' logins depend on it.
    UserGroupInformation.setConfiguration(site);
    server = new KmsServer(conf, data, port);
    server.start();
  }

  /** What a server in the same process is told by other ways. */
  private void addToSite() throws IOException {
    File file = new File(conf, "kms-site.xml");
    Configuration site = new Configuration(false);
    site.addResource(file.toURI().toURL());
    site.set("hadoop.kms.http.host", "127.0.0.1");
    if (keyStore != null) {
      site.set("hadoop.kms.ssl.enabled", "true");
      site.set("svsm.kms.ssl.security.level", "1");  // these tests make RSA keys of 1024 bits
      Map<String, String> ssl = new LinkedHashMap<>();
      ssl.put("ssl.server.keystore.location", keyStore.getPath());
      ssl.put("ssl.server.keystore.password", password);
      writeIfMissing("ssl-server.xml", ssl);
    }
    try (OutputStream out = Files.newOutputStream(file.toPath())) {
      site.writeXml(out);
    }
  }

  private void writeIfMissing(String name, Map<String, String> properties) throws IOException {
    File file = new File(conf, name);
    if (!file.exists()) {
      KmsServer.writeXml(file, properties);
    }
  }

  public URL getKMSUrl() {
    try {
      return new URL((keyStore == null ? "http" : "https") + "://localhost:" + port + "/kms");
    } catch (MalformedURLException e) {
      throw new IllegalStateException(e);
    }
  }

  public void stop() {
    try {
      if (server != null) {
        server.stop();
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    } finally {
      if (data != null) {
        IN_USE.remove(data);
      }
    }
  }
}
