/* SPDX-License-Identifier: Apache-2.0 */
/* Help, manual page and completion, all printed from the table of verbs. */
#include "client/chain_check.h"
#include "client/cli.h"

static const struct {
	int code;
	const char *meaning;
} exit_codes[] = {
	{ EXIT_OK, "done" },
	{ EXIT_REFUSED, "the server refused or failed, or the output could not be written" },
	{ EXIT_USAGE, "the command line is wrong, or a local file cannot be used" },
	{ EXIT_CONNECT, "no connection, connection lost, or no answer in time" },
	{ EXIT_AUTH, "not authenticated or not authorised (401, 403)" },
	{ EXIT_NOT_FOUND, "there is no such key or address" },
	{ EXIT_CONFLICT, "it exists already, it differs, or a check failed" },
	{ CHAIN_NONE, "10 to 18: what audit verify found; its help says which is which" },
};

static const struct {
	const char *does, *command;
} examples[] = {
	{ "Create a key, make an encrypted key under it and decrypt that:",
	  "svsm-kms key create projects --length 256\n"
	  "svsm-kms eek generate projects > eek.json\n"
	  "svsm-kms eek decrypt eek.json" },
	{ "See what moving from a Hadoop KMS would do, then move:",
	  "svsm-kms import --from kms://http@old.example.com:9600/kms --dry-run\n"
	  "svsm-kms import --from kms://http@old.example.com:9600/kms" },
};

static const char intro[] = "SVSM-KMS is a key management service compatible with Hadoop KMS.";

static void print_opts(const struct opt *o)
{
	for (; o && o->kind != OPT_END; o++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", o->letter ? "-" : "",
			 o->letter ? o->letter : ' ', o->letter ? ", " : "   ", o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
		printf("  %-30s %s", left, o->help);
		if (o->values)
			printf(" [%s]", o->values);
		putchar('\n');
	}
}

static void print_wrapped(const char *s)
{
	size_t column = 0;

	while (*s) {
		size_t n = strcspn(s, " ");

		if (column && column + 1 + n > 79) {
			putchar('\n');
			column = 0;
		}
		printf("%s%.*s", column ? " " : "", (int)n, s);
		column += n + (column != 0);
		s += n + (s[n] == ' ');
	}
	putchar('\n');
}

void help_verb(const struct verb *v)
{
	printf("svsm-kms %s%s%s%s\n\n%s.\n", v->name, v->args[0] ? " " : "", v->args,
	       v->opts ? " [OPTIONS]" : "", v->help);
	if (v->text)
		print_wrapped(v->text);
	if (v->opts) {
		puts("\nOptions:");
		print_opts(v->opts);
	}
	if (v->raw)
		return;
	puts("\nCommon options:");
	print_opts(cli_common);
}

static void print_verb_line(const struct verb *v)
{
	char left[64];

	snprintf(left, sizeof(left), "%s %s", v->name, v->args);
	printf("  %-24s %s\n", left, v->help);
}

void help_all(void)
{
	const struct verb *v;
	size_t i;

	printf("svsm-kms VERB [ARGUMENTS] [OPTIONS]\n\n%s\n\nVerbs:\n", intro);
	for (v = cli_verbs; v->name; v++)
		print_verb_line(v);
	puts("\nCommon options:");
	print_opts(cli_common);
	puts("\nExit codes:");
	for (i = 0; i < ARRAY_LEN(exit_codes); i++)
		printf("  %d  %s\n", exit_codes[i].code, exit_codes[i].meaning);
	puts("\n`svsm-kms VERB --help` explains one verb.");
}

void help_group(const char *group)
{
	size_t n = strlen(group);
	const struct verb *v;

	printf("svsm-kms %s ...\n\n", group);
	for (v = cli_verbs; v->name; v++) {
		if (strncmp(v->name, group, n) == 0 && v->name[n] == ' ')
			print_verb_line(v);
	}
}

/* Text for troff: no line may begin a request, and a dash is a dash. */
static void man_text(const char *s)
{
	bool start = true;

	for (; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			fputs("\\&", stdout);
		start = *s == '\n';
		if (*s == '-')
			fputs("\\-", stdout);
		else if (*s == '\\')
			fputs("\\e", stdout);
		else
			putchar(*s);
	}
}

static void man_opts(const struct opt *o)
{
	for (; o && o->kind != OPT_END; o++) {
		fputs(".TP\n", stdout);
		if (o->letter)
			printf("\\fB\\-%c\\fR, ", o->letter);
		fputs("\\fB\\-\\-", stdout);
		man_text(o->name);
		fputs("\\fR", stdout);
		if (o->arg) {
			fputs(" \\fI", stdout);
			man_text(o->arg);
			fputs("\\fR", stdout);
		}
		putchar('\n');
		man_text(o->help);
		if (o->values) {
			fputs("; one of: ", stdout);
			man_text(o->values);
		}
		putchar('\n');
	}
}

static void man_verb(const struct verb *v)
{
	printf(".SS svsm\\-kms %s", v->name);
	if (v->args[0]) {
		fputs(" \\fI", stdout);
		man_text(v->args);
		fputs("\\fR", stdout);
	}
	putchar('\n');
	man_text(v->help);
	fputs(".\n", stdout);
	if (v->text) {
		man_text(v->text);
		putchar('\n');
	}
	man_opts(v->opts);
}

static void man_page(void)
{
	const struct verb *v;
	size_t i;

	puts(".\\\" SPDX-License-Identifier: Apache-2.0\n"
	     ".\\\" Printed by `svsm-kms help --man`; edit the table of verbs instead.\n"
	     ".TH SVSM\\-KMS 1 \"\" \"SVSM\\-KMS\" \"User Commands\"\n"
	     ".SH NAME\nsvsm\\-kms \\- key management service: server and client\n"
	     ".SH SYNOPSIS\n.B svsm\\-kms\n\\fIVERB\\fR [\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n.SH DESCRIPTION");
	man_text(intro);
	puts("\n.SH VERBS");
	for (v = cli_verbs; v->name; v++)
		man_verb(v);
	puts(".SH COMMON OPTIONS");
	man_opts(cli_common);
	puts(".SH ENVIRONMENT\n.TP\n\\fBSVSM_KMS_URL\\fR\nthe server, when \\-\\-url is not given\n"
	     ".TP\n\\fBKRB5CCNAME\\fR, \\fBKRB5_CLIENT_KTNAME\\fR, \\fBKRB5_CONFIG\\fR\n"
	     "where a server wants Kerberos: the credential cache with the ticket, a keytab to get one by, the library's "
	     "configuration\n.SH EXIT STATUS");
	for (i = 0; i < ARRAY_LEN(exit_codes); i++) {
		printf(".TP\n\\fB%d\\fR\n", exit_codes[i].code);
		man_text(exit_codes[i].meaning);
		putchar('\n');
	}
	puts(".SH EXAMPLES");
	for (i = 0; i < ARRAY_LEN(examples); i++) {
		fputs(".PP\n", stdout);
		man_text(examples[i].does);
		fputs("\n.PP\n.nf\n.RS\n", stdout);
		man_text(examples[i].command);
		fputs("\n.RE\n.fi\n", stdout);
	}
}

int verb_help(struct cli *c)
{
	char name[64];
	const struct verb *v;

	if (args_has(&c->args, "man")) {
		man_page();
		return EXIT_OK;
	}
	if (c->args.nwords == 0) {
		help_all();
		return EXIT_OK;
	}
	snprintf(name, sizeof(name), "%s%s%s", c->args.words[0], c->args.nwords > 1 ? " " : "",
		 c->args.nwords > 1 ? c->args.words[1] : "");
	for (v = cli_verbs; v->name; v++) {
		if (strcmp(v->name, name) == 0) {
			help_verb(v);
			return EXIT_OK;
		}
	}
	for (v = cli_verbs; v->name; v++) {
		if (strncmp(v->name, name, strlen(name)) == 0 && v->name[strlen(name)] == ' ') {
			help_group(name);
			return EXIT_OK;
		}
	}
	return cli_fail(c, EXIT_USAGE, "unknown verb `%s`; `svsm-kms help` lists them", name);
}

static void bash_words(const struct opt *o)
{
	for (; o && o->kind != OPT_END; o++) {
		printf(" --%s", o->name);
		if (o->letter)
			printf(" -%c", o->letter);
	}
}

/* What to offer after an option, by its kind; the same name means the same everywhere. */
static void bash_values(const struct opt *o)
{
	static const char *const offers[] = {
		[OPT_TEXT] = "return", [OPT_NUMBER] = "return",
		[OPT_FILE] = "compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return",
		[OPT_DIR] = "compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\")); return",
	};

	for (; o && o->kind != OPT_END; o++) {
		if (o->kind == OPT_FLAG)
			continue;
		printf("\t\t--%s", o->name);
		if (o->letter)
			printf("|-%c", o->letter);
		if (o->kind == OPT_CHOICE)
			printf(") COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return;;\n", o->values);
		else
			printf(") %s;;\n", offers[o->kind]);
	}
}

/* The first words, or with a group the second words, each once. */
static void bash_verbs(const char *group)
{
	size_t n = group ? strlen(group) : 0;
	const char *last = "";
	const struct verb *v;

	for (v = cli_verbs; v->name; v++) {
		size_t len = strcspn(v->name, " ");

		if (group) {
			if (len == n && strncmp(v->name, group, n) == 0 && v->name[n] == ' ')
				printf(" %s", v->name + n + 1);
		} else if (strncmp(last, v->name, len) != 0 || last[len] != ' ') {
			printf(" %.*s", (int)len, v->name);
		}
		last = v->name;
	}
}

static bool first_of_group(const struct verb *v)
{
	size_t len = strcspn(v->name, " ");

	return v->name[len] && (v == cli_verbs || strncmp(v[-1].name, v->name, len + 1) != 0);
}

/* Shell code that finds the verb among the words before the cursor. */
static void bash_find_verb(void)
{
	const struct verb *v;
	const struct opt *o;

	puts("\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	     "\t\tword=${COMP_WORDS[i]}\n"
	     "\t\tcase \"$word\" in");
	for (o = cli_common; o->kind != OPT_END; o++) {
		if (o->kind != OPT_FLAG)
			printf("\t\t--%s) i=$((i + 1)); continue;;\n", o->name);
	}
	fputs("\t\t-*) continue;;\n\t\tesac\n\t\tcase \"$verb\" in\n\t\t''", stdout);
	for (v = cli_verbs; v->name; v++) {
		if (first_of_group(v))
			printf("|%.*s", (int)strcspn(v->name, " "), v->name);
	}
	puts(") verb=${verb:+$verb }$word;;\n\t\tesac\n\tdone");
}

/* Shell code for the value of the option before the cursor. */
static void bash_find_value(void)
{
	const struct verb *v;

	puts("\tcase \"$verb\" in");
	for (v = cli_verbs; v->name; v++) {
		if (!v->opts)
			continue;
		printf("\t'%s') case \"$prev\" in\n", v->name);
		bash_values(v->opts);
		puts("\t\tesac;;");
	}
	puts("\tesac\n\tcase \"$prev\" in");
	bash_values(cli_common);
	puts("\tesac");
}

static void bash_script(void)
{
	static const char end[] = "' -- \"$cur\"));;";
	static const char begin[] = "COMPREPLY=($(compgen -W '";
	const struct verb *v;

	puts("# SPDX-License-Identifier: Apache-2.0\n"
	     "# bash completion for svsm-kms; printed by `svsm-kms completion bash`.\n"
	     "_svsm_kms() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb='' word i\n"
	     "\tCOMPREPLY=()");
	bash_find_verb();
	bash_find_value();
	printf("\tcase \"$verb\" in\n\t'') %s", begin);
	bash_verbs(NULL);
	bash_words(cli_common);
	puts(end);
	for (v = cli_verbs; v->name; v++) {
		if (first_of_group(v)) {
			char group[32];

			snprintf(group, sizeof(group), "%.*s", (int)strcspn(v->name, " "), v->name);
			printf("\t%s) %s", group, begin);
			bash_verbs(group);
			puts(end);
		}
		printf("\t'%s') %s", v->name, begin);
		bash_words(v->opts);
		bash_words(v->raw ? NULL : cli_common);
		puts(end);
	}
	puts("\tesac\n}\ncomplete -o default -F _svsm_kms svsm-kms");
}

int verb_completion(struct cli *c)
{
	if (strcmp(c->args.words[0], "bash") != 0)
		return cli_fail(c, EXIT_USAGE, "completion: only bash is known");
	bash_script();
	return EXIT_OK;
}
