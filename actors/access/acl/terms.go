// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"fmt"
	"strings"
)

// Bounds of one acl.config. The size of the file is the caller's.
const (
	maxDepth = 16      // brackets inside one term
	maxTerms = 100_000 // rules of a file, emqttd's and Mosquitto's
)

// A term is what file:consult/1 makes of the part of Erlang that rules use:
// atoms, strings, binaries, tuples and lists.
type term struct {
	kind kind
	text string
	kids []term
	line int
}

type kind byte

const (
	atom   kind = 'a'
	text   kind = '"' // string or binary: rules do not tell them apart
	tuple  kind = '{'
	list   kind = '['
	end    kind = '.' // token only
	closer kind = ']' // token only: ']' or '}', in text
	comma  kind = ',' // token only
	eof    kind = 0   // token only
)

// is reports whether t is the atom s.
func (t *term) is(s string) bool { return t.kind == atom && t.text == s }

// parseTerms reads all terms of a file, each ended by a full stop. Brackets are
// kept on a stack of our own, so that a file cannot choose how deep we call.
func parseTerms(src string) ([]term, error) {
	lex := lexer{src: src, line: 1}
	var terms []term
	var open []term // brackets not closed yet, outermost first
	want := true    // a term may come now, or must: nothing, '[' or ',' came before
	for {
		tok, err := lex.next()
		if err != nil {
			return nil, err
		}
		switch {
		case tok.kind == eof && len(open) == 0 && want:
			return terms, nil
		case tok.kind == eof:
			return nil, fmt.Errorf("%d: the file ends inside a rule; is a full stop missing?", lex.line)
		case tok.kind == end && len(open) == 0 && !want:
			want = true
			continue
		case (tok.kind == tuple || tok.kind == list) && want:
			if len(open) == maxDepth {
				return nil, fmt.Errorf("%d: more than %d brackets inside each other", tok.line, maxDepth)
			}
			open = append(open, tok)
			continue
		case tok.kind == comma && len(open) > 0 && !want:
			want = true
			continue
		case tok.kind == closer && len(open) > 0 && closes(open[len(open)-1], tok, want):
			tok = open[len(open)-1]
			open = open[:len(open)-1]
		case (tok.kind == atom || tok.kind == text) && want:
		default:
			return nil, fmt.Errorf("%d: %q is not expected here", tok.line, tok.text)
		}
		want = false
		if len(open) > 0 {
			top := &open[len(open)-1]
			top.kids = append(top.kids, tok)
		} else if terms = append(terms, tok); len(terms) > maxTerms {
			return nil, fmt.Errorf("%d: more than %d rules", tok.line, maxTerms)
		}
	}
}

// closes reports whether tok ends the open bracket: the same shape, and a term
// before it unless it is empty.
func closes(open, tok term, want bool) bool {
	return (open.kind == list) == (tok.text == "]") && (!want || len(open.kids) == 0)
}

// A lexer cuts a file into tokens, which are terms without kids.
type lexer struct {
	src  string
	at   int
	line int
}

// next is the next token; comments run from '%' to the end of the line.
func (l *lexer) next() (term, error) {
	for l.at < len(l.src) {
		c := l.src[l.at]
		switch {
		case c == '\n':
			l.line++
			fallthrough
		case c == ' ' || c == '\t' || c == '\r':
			l.at++
		case c == '%':
			if i := strings.IndexByte(l.src[l.at:], '\n'); i >= 0 {
				l.at += i
			} else {
				l.at = len(l.src)
			}
		default:
			return l.token(c)
		}
	}
	return term{line: l.line}, nil
}

func (l *lexer) token(c byte) (term, error) {
	t := term{line: l.line, text: string(c)}
	switch {
	case c == '{' || c == '[' || c == ',' || c == '.':
		t.kind = kind(c)
	case c == '}' || c == ']':
		t.kind = closer
	case c == '"':
		return l.quoted('"', text)
	case c == '\'':
		return l.quoted('\'', atom)
	case strings.HasPrefix(l.src[l.at:], `<<"`):
		return l.binary()
	case c >= 'a' && c <= 'z':
		i := l.at
		for i < len(l.src) && atomByte(l.src[i]) {
			i++
		}
		t.kind, t.text = atom, l.src[l.at:i]
		l.at = i
		return t, nil
	default:
		return t, fmt.Errorf("%d: character %q is not expected here", l.line, c)
	}
	l.at++
	return t, nil
}

func atomByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '@'
}

// binary reads <<"text">> and <<"text"/utf8>>.
func (l *lexer) binary() (term, error) {
	l.at += len("<<")
	t, err := l.quoted('"', text)
	if err != nil {
		return t, err
	}
	rest := strings.TrimPrefix(l.src[l.at:], "/utf8")
	if !strings.HasPrefix(rest, ">>") {
		return t, fmt.Errorf(`%d: a binary is written <<"text">>`, l.line)
	}
	l.at = len(l.src) - len(rest) + len(">>")
	return t, nil
}

// quoted reads up to the closing quote; of Erlang's escapes those that rules
// have a use for.
func (l *lexer) quoted(quote byte, k kind) (term, error) {
	t := term{kind: k, line: l.line}
	var b strings.Builder
	for i := l.at + 1; i < len(l.src); i++ {
		c := l.src[i]
		switch {
		case c == quote:
			l.at, t.text = i+1, b.String()
			return t, nil
		case c == '\n':
			return t, fmt.Errorf("%d: the line ends inside quotes", l.line)
		case c == '\\':
			i++
			if i == len(l.src) || !strings.ContainsRune(`"'\`, rune(l.src[i])) {
				return t, fmt.Errorf(`%d: of the escapes only \", \' and \\ are known`, l.line)
			}
			c = l.src[i]
		}
		b.WriteByte(c)
	}
	return t, fmt.Errorf("%d: the file ends inside quotes", l.line)
}
