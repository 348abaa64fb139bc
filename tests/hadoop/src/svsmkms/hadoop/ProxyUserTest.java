// SPDX-License-Identifier: Apache-2.0
package svsmkms.hadoop;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.security.authorize.AuthorizationException;
import org.junit.AfterClass;
import org.junit.BeforeClass;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.Timeout;

/** Services that act for their users, as Oozie, Hive and the HTTP gateways do. */
public class ProxyUserTest {
  private static KmsServer server;

  @Rule public final Timeout limit = Timeout.seconds(180);

  @BeforeClass
  public static void start() throws Exception {
    server = new KmsServer.Setup()
        .site("svsm.kms.groups.os", "true")
        .site("hadoop.kms.proxyuser.service.users", "alice,bob")
        .site("hadoop.kms.proxyuser.service.hosts", "127.0.0.0/8")
        .site("hadoop.kms.proxyuser.grouped.groups", "daemon")
        .site("hadoop.kms.proxyuser.grouped.hosts", "localhost")
        .site("hadoop.kms.proxyuser.elsewhere.users", "*")
        .site("hadoop.kms.proxyuser.elsewhere.hosts", "192.0.2.1")
        .site("hadoop.kms.proxyuser.nowhere.users", "*")
        .acl("hadoop.kms.acl.GET", "alice,service,daemon")
        .start();
    new User("service", server).creates("k");
  }

  @AfterClass
  public static void stop() throws Exception {
    KmsServer.close(server);
  }

  private static User proxy(String real, String user) throws Exception {
    return new User(UserGroupInformation.createProxyUser(user, UserGroupInformation.createRemoteUser(real)), server.uri());
  }

  @Test
  public void theProxiedUsersRightsCount() throws Exception {
    Able.need("proxyuser");
    assertNotNull(proxy("service", "alice").does(p -> p.getCurrentKey("k")));
    assertEquals("User:bob not allowed to do 'GET_CURRENT_KEY' on 'k'",
        proxy("service", "bob").refused(p -> p.getCurrentKey("k")).getMessage());
  }

  @Test
  public void othersMayNotBeProxied() throws Exception {
    refused("service", "carol", "User: service is not allowed to impersonate carol");
    refused("alice", "bob", "User: alice is not allowed to impersonate bob");
  }

  @Test
  public void groupsOfTheProxiedUserCount() throws Exception {
    Able.need("proxyuser");
    assertNotNull(proxy("grouped", "daemon").does(p -> p.getCurrentKey("k")));
    refused("grouped", "alice", "User: grouped is not allowed to impersonate alice");
  }

  @Test
  public void theHostCounts() throws Exception {
    refused("elsewhere", "alice", "Unauthorized connection for super-user: elsewhere from IP 127.0.0.1");
    refused("nowhere", "alice", "");
  }

  /** The refusal meets the client during its handshake, so that it sees the status rather than the body. */
  private static void refused(String real, String user, String detail) throws Exception {
    IOException e = assertThrows(IOException.class, () -> proxy(real, user).does(p -> p.getMetadata("k")));
    StringBuilder text = new StringBuilder();
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      text.append(cause).append('\n');
    }
    assertTrue(text.toString(), text.indexOf("Forbidden") >= 0
        || e instanceof AuthorizationException && text.indexOf(detail) >= 0);
  }
}
