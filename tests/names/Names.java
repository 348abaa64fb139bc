/* SPDX-License-Identifier: Apache-2.0 */
/* The same as match.c, by java.util.regex and by Hadoop's own KerberosName, which is looked up by name: the first half runs without. */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Names {
    static String unhex(String s) {
        if (s.equals("-")) {
            return "";
        }
        byte[] b = new byte[s.length() / 2];
        for (int i = 0; i < b.length; i++) {
            b[i] = (byte) Integer.parseInt(s.substring(2 * i, 2 * i + 2), 16);
        }
        return new String(b, StandardCharsets.ISO_8859_1);
    }

    static String hex(String s) {
        StringBuilder b = new StringBuilder();
        for (byte c : s.getBytes(StandardCharsets.ISO_8859_1)) {
            b.append(String.format("%02x", c & 0xff));
        }
        return b.length() == 0 ? "-" : b.toString();
    }

    static String regex(String pattern, String text, String to) {
        Pattern p;
        try {
            p = Pattern.compile(pattern);
        } catch (RuntimeException e) {
            return "refused";
        }
        try {
            p.matcher(text).matches();
        } catch (RuntimeException e) {
            return "broken";    // JDK 17 takes "[&&a]" and then trips over it
        }
        StringBuilder b = new StringBuilder(p.matcher(text).matches() ? "1" : "0");
        Matcher m = p.matcher(text);
        boolean found;
        try {
            found = m.find();
        } catch (NullPointerException e) {
            return "broken";
        }
        if (found) {
            for (int i = 0; i <= m.groupCount(); i++) {
                b.append(" " + m.start(i) + ":" + m.end(i));
            }
        }
        for (int all = 0; all < 2; all++) {
            try {
                m = p.matcher(text);
                b.append(" " + hex(all == 1 ? m.replaceAll(to) : m.replaceFirst(to)));
            } catch (RuntimeException e) {
                b.append(" bad");
            }
        }
        return b.toString();
    }

    static String name(String mode, String realm, String rules, String principal) throws Exception {
        Class<?> c = Class.forName("org.apache.hadoop.security.authentication.util.KerberosName");
        Field f = c.getDeclaredField("defaultRealm");
        f.setAccessible(true);
        f.set(null, realm);
        try {
            c.getMethod("setRuleMechanism", String.class).invoke(null, mode);
            c.getMethod("setRules", String.class).invoke(null, rules);
        } catch (InvocationTargetException e) {
            return "refused";
        }
        try {
            Constructor<?> make = c.getConstructor(String.class);
            Method get = c.getMethod("getShortName");
            return " " + hex((String) get.invoke(make.newInstance(principal)));
        } catch (InvocationTargetException e) {
            return "denied";
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        PrintStream out = new PrintStream(System.out, false);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] f = line.split(" ");
            out.println(f[0].equals("R") ? regex(unhex(f[1]), unhex(f[2]), unhex(f[3]))
                        : name(f[1], unhex(f[2]), unhex(f[3]), unhex(f[4])));
        }
        out.flush();
    }
}
