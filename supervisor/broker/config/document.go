// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A value is a piece of YAML: a scalar as it was written, a list or a mapping.
// Scalars stay text, because the key knows what is meant and YAML's guesses
// (off is a boolean, 1.20 a number) do not.
type value struct {
	shape     shape
	text      string // scalar
	raw       bool   // scalar from the environment or --set: may hold a list or mapping
	list      []*value
	entries   []entry // mapping, in the order written
	line, col int
}

type entry struct {
	name      string
	value     *value
	line, col int
}

type shape uint8

const (
	null shape = iota
	scalar
	list
	mapping
)

func (s shape) String() string {
	return [...]string{"nothing", "a single value", "a list", "a section with keys"}[s]
}

const (
	maxText  = 1 << 20 // bytes of a configuration file, a variable or a --set
	maxDepth = 16      // nesting; the deepest key there is has 5 levels
	maxKeys  = 20_000  // in one text: the parser's time grows with their square (10,000: 0.4 s, 22,000: 2 s)
)

// A position says where in a text a mistake is; 0 is unknown.
type position struct {
	line, col int
	text      string
}

func (p *position) Error() string { return p.text }

// parse reads one YAML document. An empty one is null. The error is a
// *position.
func parse(text string) (*value, error) {
	if len(text) > maxText {
		return nil, &position{text: fmt.Sprintf("longer than %d bytes", maxText)}
	}
	tokens := lexer.Tokenize(text)
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, located(err)
	}
	out := &value{}
	for i, doc := range file.Docs {
		if i > 0 && doc.Body != nil {
			return nil, at(doc.Body, "a second YAML document; one is expected")
		}
		if doc.Body == nil {
			continue
		}
		if out, err = convert(doc.Body, 0); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkTokens refuses what a configuration has no use for, before the parser,
// which is recursive, meets it: nesting and keys without end, aliases that
// multiply, tags.
func checkTokens(tokens token.Tokens) error {
	keys, flow, dashes, line := 0, 0, 0, 0
	for _, tk := range tokens {
		if tk.Position.Line != line {
			line, dashes = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType:
			dashes++
		case token.MappingValueType:
			if keys++; keys > maxKeys {
				return &position{line, tk.Position.Column, fmt.Sprintf("more than %d keys", maxKeys)}
			}
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType, token.MappingKeyType, token.DirectiveType:
			return &position{line, tk.Position.Column, fmt.Sprintf("%q: anchors, aliases, tags, merges, "+
				"complex keys and directives are not used here; write the value in full, or in quotes", tk.Value)}
		}
		if flow > maxDepth || dashes > maxDepth || tk.Position.Column > 32*maxDepth && opensBlock(tk) {
			return &position{line, tk.Position.Column, "nested too deeply"}
		}
	}
	return nil
}

// opensBlock reports whether the token starts a line that may be one level
// deeper than the line before.
func opensBlock(tk *token.Token) bool {
	return tk.Prev == nil || tk.Prev.Position.Line != tk.Position.Line
}

// located turns a library error into a position.
func located(err error) error {
	var e interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &e) {
		return &position{text: "not YAML: " + err.Error()}
	}
	p := &position{text: "not YAML: " + e.GetMessage()}
	if tk := e.GetToken(); tk != nil && tk.Position != nil {
		p.line, p.col = tk.Position.Line, tk.Position.Column
	}
	return p
}

func at(n ast.Node, text string) error {
	p := &position{text: text}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		p.line, p.col = tk.Position.Line, tk.Position.Column
	}
	return p
}

// convert copies a node; its depth is bounded by maxDepth.
func convert(n ast.Node, depth int) (*value, error) {
	if depth > maxDepth {
		return nil, at(n, "nested too deeply")
	}
	v := &value{shape: scalar}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		v.line, v.col = tk.Position.Line, tk.Position.Column
	}
	switch n := n.(type) {
	case *ast.NullNode:
		v.shape = null
	case *ast.StringNode:
		v.text = n.Value
	case *ast.LiteralNode:
		v.text = n.Value.Value
	case *ast.SequenceNode:
		v.shape = list
		for _, item := range n.Values {
			sub, err := convert(item, depth+1)
			if err != nil {
				return nil, err
			}
			v.list = append(v.list, sub)
		}
	case *ast.MappingNode:
		v.shape = mapping
		return v, v.addEntries(n.Values, depth)
	case *ast.MappingValueNode:
		v.shape = mapping
		return v, v.addEntries([]*ast.MappingValueNode{n}, depth)
	case ast.ScalarNode:
		v.text = n.GetToken().Value
	default:
		return nil, at(n, "a "+n.Type().YAMLName()+" is not expected here")
	}
	return v, nil
}

func (v *value) addEntries(nodes []*ast.MappingValueNode, depth int) error {
	for _, n := range nodes {
		key, err := convert(n.Key, depth+1)
		if err != nil {
			return err
		}
		sub, err := convert(n.Value, depth+1)
		if err != nil {
			return err
		}
		v.entries = append(v.entries, entry{key.text, sub, key.line, key.col})
	}
	return nil
}
