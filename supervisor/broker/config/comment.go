// SPDX-License-Identifier: Apache-2.0

package config

import (
	"embed"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"sync"
)

// The sources of the types travel in the program, so that the comment of a
// field is the comment of its key and the two cannot differ. Only printing
// looks at them.
//
//go:embed config.go dashboard.go listener.go mqtt.go session.go access.go observe.go
var sources embed.FS

// comments returns the comment of each field by "Type.Field", on one line.
var comments = sync.OnceValue(func() map[string]string {
	out := map[string]string{}
	files, err := sources.ReadDir(".")
	if err != nil {
		panic("config: embedded sources: " + err.Error())
	}
	for _, file := range files {
		text, err := sources.ReadFile(file.Name())
		if err != nil {
			panic("config: embedded sources: " + err.Error())
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file.Name(), text, parser.ParseComments)
		if err != nil {
			panic("config: embedded sources: " + err.Error())
		}
		for _, decl := range tree.Decls {
			typeComments(decl, out)
		}
	}
	return out
})

// typeComments adds the field comments of the struct types that decl declares.
func typeComments(decl ast.Decl, out map[string]string) {
	gen, ok := decl.(*ast.GenDecl)
	if !ok || gen.Tok != token.TYPE {
		return
	}
	for _, spec := range gen.Specs {
		typ := spec.(*ast.TypeSpec)
		body, ok := typ.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range body.Fields.List {
			text := strings.Join(strings.Fields(f.Doc.Text()), " ")
			for _, name := range f.Names {
				out[typ.Name.Name+"."+name.Name] = text
			}
		}
	}
}
