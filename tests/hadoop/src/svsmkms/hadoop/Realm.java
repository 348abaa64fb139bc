// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import java.io.File;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.UserGroupInformation;
import org.junit.AssumptionViolatedException;

/**
 * The Kerberos realm that run.sh has made with a real KDC, and logins by its keytabs. From the first use on, everything of
 * Hadoop in this process is in secure mode, so the classes that use it have a suite of their own.
 */
final class Realm {
  static final String NAME = "EXAMPLE.COM";
  private static final String DIRECTORY = System.getProperty("svsmkms.realm", "");
  private static final String PREFIX = "hadoop.kms.authentication.";

  private Realm() {
  }

  static void need() {
    Able.need("kerberos");
    if (DIRECTORY.isEmpty()) {
      throw new AssumptionViolatedException("needs a KDC (krb5-kdc krb5-admin-server krb5-user)");
    }
    UserGroupInformation.setConfiguration(conf());
  }

  /** What every client and every daemon of a secure cluster has in its core-site.xml. */
  static Configuration conf() {
    Configuration conf = new Configuration();
    conf.set("hadoop.security.authentication", "kerberos");
    conf.set("hadoop.security.auth_to_local", "DEFAULT");
    return conf;
  }

  static String keytab(String service) {
    return new File(DIRECTORY, service + ".keytab").getPath();
  }

  /** A login as daemons do it; the process's own user stays nobody. */
  static UserGroupInformation login(String name) throws Exception {
    return UserGroupInformation.loginUserFromKeytabAndReturnUGI(name + "@" + NAME, keytab("users"));
  }

  /** A key server that asks for tickets. */
  static KmsServer.Setup setup() {
    return new KmsServer.Setup()
        .site(PREFIX + "type", "kerberos")
        .site(PREFIX + "kerberos.keytab", keytab("http"))
        .site(PREFIX + "kerberos.principal", "HTTP/localhost")
        .site(PREFIX + "kerberos.name.rules", "DEFAULT");
  }
}
