# What zsh offers for a command line. An interactive shell on a terminal of its own is given the line, and then a key that tells what there is.
#   zsh -f completion.zsh FOLDER-OF-_holdfast DUMP-OF-COMPINIT "holdfast fail"
if [[ -o interactive ]]; then # the inner shell, which has read it
	PS1= fpath=($1 $fpath)
	autoload -Uz compinit && compinit -u -C -d $2
	# Whatever is added is printed; a call that only asks what would match is left alone.
	compadd() {
		local -a hits
		if [[ -z ${(M)@[1,(i)--]:#-[A-Za-z0-9]#[OAD]} ]]; then
			builtin compadd -O hits "$@"
			(( $#hits )) && print -rl -- $hits
		fi
		builtin compadd "$@"
	}
	offered() {
		print -r -- @begin@
		_main_complete
		print -r -- @end@
	}
	zle -C offered list-choices offered
	bindkey '^X' offered
	setopt extended_glob # of the pattern above
	print @rea''dy@
	return
fi
zmodload zsh/zpty || exit
zpty shell zsh -f -i
zpty -w shell "source ${(q)0:a} ${(q)1} ${(q)2}"
zpty -r shell text '*@ready@*' || exit
zpty -w -n shell "$3"$'\C-x'
zpty -r shell text '*@begin@*@end@*' || exit
zpty -d shell
text=${text#*@begin@}
print -rl -- ${(f)${${text%%@end@*}//$'\r'}}
