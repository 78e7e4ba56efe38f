# SPDX-License-Identifier: ISC
# bash completion for relayctl(8).  Commands and options are asked of relayctl
# itself, so that they are those of the version that is installed.
# shellcheck shell=bash

_relayctl_commands()
{
	"$1" --help 2>/dev/null |
		sed -n 's/^  \([a-z-]*\( [a-z-]*\)\{0,1\}\)  .*/\1/p'
}

_relayctl_values()
{
	case $1 in
	--state)
		echo queued active deferred held delivered expired failed ;;
	--cause)
		echo tls dns net peer auth mail self ops ;;
	--by)
		echo destination cause sender domain ;;
	--sort)
		echo received age size attempts next_attempt expires sender \
			destination cause state ;;
	esac
}

_relayctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local program=${COMP_WORDS[0]} commands values word
	local -a words=()
	local i

	COMPREPLY=()
	values=$(_relayctl_values "$prev")
	if [ -n "$values" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur")
		return
	fi
	if [ "$prev" = -s ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	# The words of the command, without the options in front of it.
	for ((i = 1; i < COMP_CWORD && ${#words[@]} < 2; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-s) i=$((i + 1)) ;;
		-*) ;;
		*) words+=("$word") ;;
		esac
	done
	commands=$(_relayctl_commands "$program")
	if [ ${#words[@]} -eq 0 ]; then
		values="--json -s -V --help $(cut -d' ' -f1 <<< "$commands")"
	elif [ ${#words[@]} -eq 1 ] && [[ $cur != -* ]]; then
		values=$(sed -n "s/^${words[0]} //p" <<< "$commands")
	fi
	if [[ -z $values && $cur == -* ]]; then
		values="--json --help $("$program" "${words[@]}" --help \
			2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p')"
	fi
	if [ -n "$values" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$values" -- "$cur")
	elif [ "${words[*]}" = 'queue export' ] ||
		[ "${words[*]}" = 'queue import' ]; then
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
	fi
}

complete -F _relayctl relayctl
