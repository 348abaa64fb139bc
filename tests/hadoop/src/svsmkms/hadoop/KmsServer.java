// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.FileUtil;

/**
 * One key server in a process of its own, with its own configuration and data: the command in the property kms.command,
 * or the original Java server when there is none. It can be stopped and started again on the same port and data.
 */
public final class KmsServer implements Closeable {
  private static final String COMMAND = System.getProperty("kms.command", "");
  private static final Pattern READY = Pattern.compile("\\bready\\b");
  private static final int START_SECONDS = 60;
  private static final int STOP_SECONDS = 20;
  private static final AtomicInteger COUNT = new AtomicInteger();
  private static final Set<Process> RUNNING = ConcurrentHashMap.newKeySet();

  static {
    // Whatever ends the tests, no server stays behind.
    Runtime.getRuntime().addShutdownHook(new Thread(() -> RUNNING.forEach(Process::destroyForcibly)));
  }

  private final String address;
  private final int port;
  private final File conf;
  private final File data;
  private final File log;
  private final File temporary;
  private Process process;

  /** A server on a configuration that somebody else wrote; nothing is deleted at the end. */
  public KmsServer(File conf, File data, int port) {
    this("127.0.0.1", port, conf, data, null);
  }

  private KmsServer(String address, int port, File conf, File data, File temporary) {
    this.address = address;
    this.port = port;
    this.conf = conf;
    this.data = data;
    this.temporary = temporary;
    this.log = new File(Dirs.logs(), String.format("server-%03d.log", COUNT.incrementAndGet()));
  }

  /** What the test sets on top of a configuration that lets everybody do everything. */
  public static final class Setup {
    private final Map<String, String> site = new LinkedHashMap<>();
    private final Map<String, String> acls = new LinkedHashMap<>();
    private final Map<String, String> core = new LinkedHashMap<>();
    private String address = "127.0.0.1";
    private int port;

    public Setup() {
      site.put("hadoop.kms.authentication.type", "simple");
      for (String type : Arrays.asList("MANAGEMENT", "GENERATE_EEK", "DECRYPT_EEK", "READ")) {
        acls.put("default.key.acl." + type, "*");
      }
    }

    public Setup site(String name, String value) {
      site.put(name, value);
      return this;
    }

    public Setup acl(String name, String value) {
      acls.put(name, value);
      return this;
    }

    public Setup core(String name, String value) {
      core.put(name, value);
      return this;
    }

    public Setup noDefaultKeyAcls() {
      acls.keySet().removeIf(name -> name.startsWith("default.key.acl."));
      return this;
    }

    public Setup listen(String address, int port) {
      this.address = address;
      this.port = port;
      return this;
    }

    public KmsServer start() throws Exception {
      File dir = Dirs.temporary("kms");
      int port = this.port == 0 ? freePort() : this.port;
      KmsServer server = new KmsServer(address, port, new File(dir, "conf"), new File(dir, "data"), dir);
      Files.createDirectories(server.conf.toPath());
      Files.createDirectories(server.data.toPath());
      // The Java server's settings; a configuration that was moved over from it holds them too.
      site.put("hadoop.kms.http.host", address);
      site.put("hadoop.kms.http.port", Integer.toString(port));
      site.put("hadoop.kms.key.provider.uri", "jceks://file@" + server.data + "/kms.keystore");
      writeXml(new File(server.conf, "kms-site.xml"), site);
      writeXml(new File(server.conf, "core-site.xml"), core);
      server.writeAcls(acls);
      try {
        server.start();
      } catch (Exception e) {
        server.close();
        throw e;
      }
      return server;
    }
  }

  public static boolean isReference() {
    return COMMAND.isEmpty();
  }

  public void start() throws Exception {
    ProcessBuilder builder = new ProcessBuilder(command()).redirectErrorStream(true).directory(data.getParentFile());
    if (isReference()) {
      builder.environment().put("KMS_HTTP_PORT", Integer.toString(port));
      builder.environment().put("KMS_TEMP", new File(data, "tmp").getPath());
    }
    // A test that runs a Kerberos server of its own tells where it is by this property.
    String krb5 = System.getProperty("java.security.krb5.conf");
    if (krb5 != null) {
      builder.environment().put("KRB5_CONFIG", krb5);
    }
    process = builder.start();
    RUNNING.add(process);
    CountDownLatch ready = new CountDownLatch(1);
    Thread reader = new Thread(() -> copyOutput(process, ready), "server output");
    reader.setDaemon(true);
    reader.start();

    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(START_SECONDS);
    while (!(isReference() ? answers() : ready.await(50, TimeUnit.MILLISECONDS))) {
      if (!process.isAlive()) {
        throw new IOException("the server ended with code " + process.exitValue() + " instead of starting, see " + log);
      }
      if (System.nanoTime() > deadline) {
        kill();
        throw new IOException("the server is not ready after " + START_SECONDS + " s, see " + log);
      }
    }
  }

  private List<String> command() {
    List<String> command = new ArrayList<>();
    if (!isReference()) {
      command.addAll(Arrays.asList(COMMAND.trim().split("\\s+")));
      Collections.addAll(command, "serve", "--conf", conf.getPath(), "--data", data.getPath(), "--listen",
          address + ":" + port);
      return command;
    }
    Collections.addAll(command, System.getProperty("java.home") + "/bin/java", "-Xmx192m", "-XX:+UseSerialGC",
        "-Djava.net.preferIPv4Stack=true",
        "--add-opens=java.base/java.lang=ALL-UNNAMED",  // its JAXB defines classes the old way
        // It seals every key again at every change; the least that the JDK allows keeps the tests quick.
        "-Djdk.jceks.iterationCount=10000",
        "-Dkms.config.dir=" + conf, "-Dkms.log.dir=" + data,
        "-Dlog4j.configuration=" + System.getProperty("log4j.configuration"),
        "-Dsvsmkms.log=" + log.getPath().replace(".log", "-java.log"));
    for (String name : Arrays.asList("java.security.krb5.conf", "sun.security.krb5.debug")) {
      if (System.getProperty(name) != null) {
        command.add("-D" + name + "=" + System.getProperty(name));
      }
    }
    // The configuration, as its start script has it, and the jars. No classes of ours: it looks at all of its package and
    // cannot read those of a later Java, such as our MiniKMS.
    String jars = Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(entry -> entry.endsWith(".jar")).collect(Collectors.joining(File.pathSeparator));
    Collections.addAll(command, "-cp", conf + File.pathSeparator + jars,
        "org.apache.hadoop.crypto.key.kms.server.KMSWebServer");
    return command;
  }

  private void copyOutput(Process source, CountDownLatch ready) {
    try (BufferedReader in = new BufferedReader(new InputStreamReader(source.getInputStream(), StandardCharsets.UTF_8));
        BufferedWriter out = Files.newBufferedWriter(log.toPath(), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        out.write(line);
        out.newLine();
        out.flush();
        if (READY.matcher(line).find()) {
          ready.countDown();
        }
      }
    } catch (IOException e) {
      // The process is gone, so is its output.
    }
  }

  /** The Java server says nothing when it is ready. */
  private boolean answers() throws InterruptedException {
    for (String scheme : Arrays.asList("http", "https")) {
      try {
        URL url = new URL(scheme + "://" + address + ":" + port + "/kms/v1/");
        HttpURLConnection c = (HttpURLConnection) url.openConnection();
        c.setConnectTimeout(1000);
        c.setReadTimeout(5000);
        c.getResponseCode();
        return true;
      } catch (javax.net.ssl.SSLHandshakeException e) {
        return true;  // it speaks TLS with a certificate that only the test knows
      } catch (IOException e) {
        // not yet
      }
    }
    Thread.sleep(50);
    return false;
  }

  /** Stops the way an init system does; a server that ignores it fails the test. */
  public void stop() throws IOException {
    end(false);
  }

  /** Takes the server away without letting it write anything more. */
  public void kill() throws IOException {
    end(true);
  }

  private void end(boolean hard) throws IOException {
    if (process == null) {
      return;
    }
    if (hard) {
      process.destroyForcibly();
    } else {
      process.destroy();
    }
    boolean ended = false;
    try {
      ended = process.waitFor(STOP_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    process.destroyForcibly();
    RUNNING.remove(process);
    process = null;
    if (!ended) {
      throw new IOException("the server did not stop within " + STOP_SECONDS + " s of SIGTERM");
    }
  }

  /** For the end of a test class, whose server may never have started. */
  static void close(KmsServer server) throws IOException {
    if (server != null) {
      server.close();
    }
  }

  public void restart() throws Exception {
    stop();
    start();
  }

  @Override
  public void close() throws IOException {
    try {
      stop();
    } finally {
      if (temporary != null) {
        FileUtil.fullyDelete(temporary);
      }
    }
  }

  public int port() {
    return port;
  }

  /** The address as Hadoop's configuration has it. */
  public URI uri() {
    return URI.create("kms://http@" + (address.equals("127.0.0.1") ? "localhost" : address) + ":" + port + "/kms");
  }

  public void writeAcls(Map<String, String> acls) throws IOException {
    writeXml(new File(conf, "kms-acls.xml"), acls);
  }

  public static void writeXml(File file, Map<String, String> properties) throws IOException {
    StringBuilder xml = new StringBuilder("<?xml version=\"1.0\"?>\n<configuration>\n");
    properties.forEach((name, value) -> xml.append("  <property>\n    <name>").append(escape(name))
        .append("</name>\n    <value>").append(escape(value)).append("</value>\n  </property>\n"));
    // Replaced in one step, since a running server may be reading it.
    Path next = file.toPath().resolveSibling(file.getName() + ".new");
    Files.write(next, xml.append("</configuration>\n").toString().getBytes(StandardCharsets.UTF_8));
    Files.move(next, file.toPath(), java.nio.file.StandardCopyOption.ATOMIC_MOVE);
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  /** Below the range of outgoing connections, so that none of them takes the port while the server restarts. */
  public static int freePort() throws IOException {
    Random random = new Random();
    for (int i = 0; i < 1000; i++) {
      int port = 20000 + random.nextInt(12000);
      try (ServerSocket one = new ServerSocket(port, 1, InetAddress.getByName("127.0.0.1"));
          ServerSocket two = new ServerSocket(port, 1, InetAddress.getByName("127.0.0.2"))) {
        return port;
      } catch (IOException e) {
        // taken
      }
    }
    throw new IOException("no free port");
  }
}
