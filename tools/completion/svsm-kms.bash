# SPDX-License-Identifier: Apache-2.0
# bash completion for svsm-kms; printed by `svsm-kms completion bash`.
_svsm_kms() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb='' word i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case "$word" in
		--url) i=$((i + 1)); continue;;
		--ca) i=$((i + 1)); continue;;
		--client-cert) i=$((i + 1)); continue;;
		--user) i=$((i + 1)); continue;;
		--token) i=$((i + 1)); continue;;
		--timeout) i=$((i + 1)); continue;;
		--output) i=$((i + 1)); continue;;
		-*) continue;;
		esac
		case "$verb" in
		''|key|eek|token|store|owner|acl|audit|attest) verb=${verb:+$verb }$word;;
		esac
	done
	case "$verb" in
	'serve') case "$prev" in
		--conf) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		--data) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		--listen) return;;
		--channel) return;;
		esac;;
	'key create') case "$prev" in
		--length) return;;
		--cipher) COMPREPLY=($(compgen -W 'AES/CTR/NoPadding SM4/CTR/NoPadding' -- "$cur")); return;;
		--description) return;;
		--attr) return;;
		--material-file) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--material-format) COMPREPLY=($(compgen -W 'raw base64 hex' -- "$cur")); return;;
		esac;;
	'key list') case "$prev" in
		esac;;
	'key show') case "$prev" in
		esac;;
	'key roll') case "$prev" in
		--material-file) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--material-format) COMPREPLY=($(compgen -W 'raw base64 hex' -- "$cur")); return;;
		esac;;
	'key delete') case "$prev" in
		esac;;
	'eek generate') case "$prev" in
		--count) return;;
		esac;;
	'token get') case "$prev" in
		--renewer) return;;
		--out) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		esac;;
	'import') case "$prev" in
		--from) return;;
		--from-user) return;;
		--from-token) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--key) return;;
		esac;;
	'export') case "$prev" in
		--recovery) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--data) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		--channel) return;;
		esac;;
	'store verify') case "$prev" in
		--data) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		--conf) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		--channel) return;;
		esac;;
	'store recover') case "$prev" in
		--data) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		--key) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--channel) return;;
		esac;;
	'owner enroll') case "$prev" in
		--conf) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		--key) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--number) return;;
		--store) return;;
		--keytab) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--core-key) return;;
		--out) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		esac;;
	'owner sign') case "$prev" in
		--conf) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		--key) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--number) return;;
		--store) return;;
		--keytab) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--core-key) return;;
		--out) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		esac;;
	'acl check') case "$prev" in
		--conf) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		--data) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		esac;;
	'audit verify') case "$prev" in
		--key) return;;
		--head) return;;
		--health) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		esac;;
	'audit show') case "$prev" in
		--from) return;;
		--count) return;;
		esac;;
	'measure') case "$prev" in
		--image) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--monitor) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--service) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--platform) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--kernel) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--initrd) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--cmdline) return;;
		--policy) return;;
		--guest-vmpl) return;;
		esac;;
	'attest report') case "$prev" in
		--nonce) return;;
		--out) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--manifest) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--certs) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--tsm) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		esac;;
	'attest verify') case "$prev" in
		--chain) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--vcek) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--nonce) return;;
		--manifest) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--measurement) return;;
		--owner) return;;
		--root) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--at) return;;
		--min-tcb) return;;
		--vmpl) return;;
		--policy-set) return;;
		--policy-clear) return;;
		--platform-set) return;;
		--platform-clear) return;;
		esac;;
	'bench') case "$prev" in
		--connections) return;;
		--seconds) return;;
		--op) COMPREPLY=($(compgen -W 'decrypt generate create' -- "$cur")); return;;
		--key) return;;
		esac;;
	'doctor') case "$prev" in
		--data) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		--conf) compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return;;
		esac;;
	'help') case "$prev" in
		esac;;
	esac
	case "$prev" in
		--url) return;;
		--ca) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--client-cert) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--user) return;;
		--token) compopt -o default 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return;;
		--timeout) return;;
		--output|-o) COMPREPLY=($(compgen -W 'text json' -- "$cur")); return;;
	esac
	case "$verb" in
	'') COMPREPLY=($(compgen -W ' serve key eek token import export store owner acl audit measure attest bench doctor health version completion help --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'serve') COMPREPLY=($(compgen -W ' --conf --data --listen --channel --hints' -- "$cur"));;
	key) COMPREPLY=($(compgen -W ' create list show roll delete invalidate' -- "$cur"));;
	'key create') COMPREPLY=($(compgen -W ' --length --cipher --description --attr --material-file --material-format --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'key list') COMPREPLY=($(compgen -W ' --metadata --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'key show') COMPREPLY=($(compgen -W ' --versions --material --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'key roll') COMPREPLY=($(compgen -W ' --material-file --material-format --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'key delete') COMPREPLY=($(compgen -W ' --yes --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'key invalidate') COMPREPLY=($(compgen -W ' --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	eek) COMPREPLY=($(compgen -W ' generate decrypt reencrypt' -- "$cur"));;
	'eek generate') COMPREPLY=($(compgen -W ' --count --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'eek decrypt') COMPREPLY=($(compgen -W ' --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'eek reencrypt') COMPREPLY=($(compgen -W ' --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	token) COMPREPLY=($(compgen -W ' get renew cancel' -- "$cur"));;
	'token get') COMPREPLY=($(compgen -W ' --renewer --out --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'token renew') COMPREPLY=($(compgen -W ' --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'token cancel') COMPREPLY=($(compgen -W ' --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'import') COMPREPLY=($(compgen -W ' --from --from-user --from-negotiate --from-token --key --dry-run --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'export') COMPREPLY=($(compgen -W ' --recovery --data --channel --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	store) COMPREPLY=($(compgen -W ' verify recover' -- "$cur"));;
	'store verify') COMPREPLY=($(compgen -W ' --data --conf --channel --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'store recover') COMPREPLY=($(compgen -W ' --data --key --channel --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	owner) COMPREPLY=($(compgen -W ' enroll sign' -- "$cur"));;
	'owner enroll') COMPREPLY=($(compgen -W ' --conf --key --number --store --keytab --core-key --out --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'owner sign') COMPREPLY=($(compgen -W ' --conf --key --number --store --keytab --core-key --out --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	acl) COMPREPLY=($(compgen -W ' check' -- "$cur"));;
	'acl check') COMPREPLY=($(compgen -W ' --conf --data --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	audit) COMPREPLY=($(compgen -W ' verify show' -- "$cur"));;
	'audit verify') COMPREPLY=($(compgen -W ' --key --head --health --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'audit show') COMPREPLY=($(compgen -W ' --from --count --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'measure') COMPREPLY=($(compgen -W ' --image --monitor --service --platform --kernel --initrd --cmdline --policy --guest-vmpl --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	attest) COMPREPLY=($(compgen -W ' report verify' -- "$cur"));;
	'attest report') COMPREPLY=($(compgen -W ' --nonce --out --manifest --certs --tsm --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'attest verify') COMPREPLY=($(compgen -W ' --chain --vcek --nonce --manifest --measurement --owner --root --at --min-tcb --vmpl --policy-set --policy-clear --platform-set --platform-clear --allow-debug --allow-migration --allow-unknown-version --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'bench') COMPREPLY=($(compgen -W ' --connections --seconds --op --key --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'doctor') COMPREPLY=($(compgen -W ' --data --conf --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'health') COMPREPLY=($(compgen -W ' --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'version') COMPREPLY=($(compgen -W ' --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'completion') COMPREPLY=($(compgen -W ' --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	'help') COMPREPLY=($(compgen -W ' --man --url --ca --client-cert --insecure --user --negotiate --token --timeout --output -o --quiet -q --help -h' -- "$cur"));;
	esac
}
complete -o default -F _svsm_kms svsm-kms
