// SPDX-License-Identifier: Apache-2.0

// The tests in this file read the source of the whole module and hold it to
// the rules that a compiler does not know: which package may import which,
// where a goroutine may begin, where a panic may be caught.
package broker_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root   = "../.." // of the repository, from this package's folder
	module = "emqttd"
	spdx   = "// SPDX-License-Identifier: Apache-2.0"
)

// ranks is the order of the packages, low to high. A package imports lines
// above its own only; packages of one line do not import each other. A name
// that ends in /* stands for every package below it.
var ranks = [][]string{
	{"protocol", "actors"}, // package docs: they import nothing
	{"protocol/packet", "protocol/topic"},
	{"protocol/message"},
	{"protocol/parser", "protocol/serializer"},
	{"protocol/client", "protocol/conformance", "protocol/dissect"},
	{"supervisor/mailbox"},
	{"supervisor/group"},
	{"supervisor/cell"},
	{"supervisor"},
	{"supervisor/chaos", "supervisor/stagetest"},
	{"actors/metrics", "actors/trace", "actors/alarm"},
	{"actors/cast"},
	{"actors/cast/casttest"},
	{"actors/hook"},
	{"actors/access/acl", "actors/access/scram"},
	{"actors/access/passwd"},
	{"actors/access", "actors/store", "actors/cm", "actors/session/mqueue"},
	{"actors/store/memory", "actors/store/storetest", "actors/store/pebble"},
	{"actors/router", "actors/retainer"},
	{"actors/session"},
	{"actors/sm"},
	{"actors/protocol"},
	{"actors/wsclient"},
	{"actors/wsloop"},
	{"actors/bridge", "actors/cluster", "actors/sys"},
	{"listeners/tls", "listeners/ws"},
	{"listeners/internal/conn"},
	{"listeners"},
	{"listeners/tcp", "listeners/quic", "listeners/api", "listeners/dashboard", "listeners/openmetrics"},
	{"listeners/microscope", "listeners/crashlab", "listeners/observe"},
	{"listeners/httpd"},
	{"supervisor/broker/config"},
	{"supervisor/broker"},
	{"supervisor/broker/brokertest", "listeners/dashboard/browsertest", "supervisor/broker/sim"},
	{"cmd/emqtt/internal/*"},
	{"cmd", "cmd/*"},
}

// mayStart are the files and folders in which a goroutine may begin: a panic in
// one of them is met there, elsewhere it would end the process. A folder does
// not stand for those below it, except with /*.
var mayStart = []string{
	"supervisor/group",  // the workers that run every actor
	"supervisor/broker", // boot, signals

	"actors/store/pebble/writer.go", // the one that waits for the disk
	"listeners/api",                 // net/http's server and the clock of its events
	"listeners/internal/conn",       // the event loops
	"listeners/crashlab/run.go",     // an experiment: as emqtt torture, but inside, and only where chaos.enabled
	"listeners/microscope",          // clients from outside, bounded, which catch their own panics
	"listeners/tls/pool.go",         // the bounded pool of handshakes
	"listeners/ws/dial.go",          // the client's side, which has no loop
	"protocol/client",               // runs in programs and tests, not under a supervisor
	"protocol/conformance",          // runs in `emqtt check` and tests, never in a broker
	"cmd/*",
}

// mayRecover are the folders in which a panic may be caught: where an actor's
// work is run, and at the border to a library that panics on a peer's bytes.
var mayRecover = []string{"supervisor/cell", "supervisor/group", "listeners/ws", "listeners/tls", "listeners/microscope"}

// testPackages hold what several packages' tests share. Their code is test code,
// and nothing else may import them.
var testPackages = []string{"supervisor/stagetest", "actors/cast/casttest", "actors/store/storetest", "listeners/dashboard/browsertest", "supervisor/broker/brokertest"}

// topLevel is all that the top of the repository holds beside dotfiles.
var topLevel = []string{"actors", "cmd", "go.mod", "go.sum", "listeners", "protocol", "README.md", "supervisor"}

func TestPackagesImportLowerRanksOnly(t *testing.T) { check(t, importFaults) }

func TestGoroutinesBeginAndPanicsAreCaughtInTheTrustedPlacesOnly(t *testing.T) {
	check(t, runtimeFaults)
}

func TestEverySourceFileBeginsWithItsLicence(t *testing.T) { check(t, licenceFaults) }

func TestTheTopLevelIsFixed(t *testing.T) {
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	ignore, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	require.NoError(t, err)
	report(t, topLevelFaults(entries, string(ignore)))
}

// TestTheRulesFindWhatTheyLookFor plays small sources against the rules, so
// that a rule which has gone blind is noticed.
func TestTheRulesFindWhatTheyLookFor(t *testing.T) {
	const head = spdx + "\n"
	tests := []struct {
		name, path, src string
		rule            func(*source) []string
		want            string // how the only finding begins; "" for none
	}{
		{"a lower rank may be imported", "actors/sm/a.go", "package sm\nimport _ \"emqttd/actors/session\"", importFaults, ""},
		{"a higher rank is refused", "actors/session/a.go", "package session\nimport _ \"emqttd/actors/sm\"", importFaults, "actors/session/a.go:3: actors/session may not import actors/sm"},
		{"the same rank is refused", "protocol/topic/a.go", "package topic\nimport (\n\tp \"emqttd/protocol/packet\"\n)", importFaults, "protocol/topic/a.go:4: protocol/topic may not import protocol/packet"},
		{"a test may import anything", "protocol/topic/a_test.go", "package topic\nimport _ \"emqttd/actors/sm\"", importFaults, ""},
		{"a package without a rank", "actors/new/a.go", "package new", importFaults, "actors/new/a.go:2: actors/new has no rank"},
		{"an import without a rank", "cmd/x/a.go", "package main\nimport _ \"emqttd/actors/new\"", importFaults, "cmd/x/a.go:3: actors/new has no rank"},
		{"a module under protocol", "protocol/topic/a.go", "package topic\nimport _ \"example.org/x\"", importFaults, "protocol/topic/a.go:3: protocol/topic may not import example.org/x"},
		{"a program may not import what is for tests", "cmd/x/a.go", "package main\nimport _ \"emqttd/supervisor/broker/brokertest\"", importFaults, "cmd/x/a.go:3: cmd/x may not import supervisor/broker/brokertest"},
		{"cgo under protocol", "protocol/topic/a.go", "package topic\nimport \"C\"", importFaults, "protocol/topic/a.go:3: protocol/topic may not import C"},
		{"a module elsewhere", "actors/sm/a.go", "package sm\nimport _ \"example.org/x\"", importFaults, ""},
		{"the standard library under protocol", "protocol/topic/a.go", "package topic\nimport _ \"unicode/utf8\"", importFaults, ""},

		{"a go statement", "actors/sm/a.go", "package sm\nfunc f() {\n\tgo f()\n}", runtimeFaults, "actors/sm/a.go:4: go "},
		{"a go statement in a test", "actors/sm/a_test.go", "package sm\nfunc f() {\n\tgo f()\n}", runtimeFaults, ""},
		{"a go statement in a package for tests", "actors/store/storetest/a.go", "package storetest\nfunc f() {\n\tgo f()\n}", runtimeFaults, ""},
		{"a go statement in the core", "supervisor/group/a.go", "package group\nfunc f() {\n\tgo f()\n}", runtimeFaults, ""},
		{"a go statement below an allowed folder", "protocol/client/x/a.go", "package x\nfunc f() {\n\tgo f()\n}", runtimeFaults, "protocol/client/x/a.go:4: go "},
		{"a go statement beside an allowed file", "listeners/tls/a.go", "package tls\nfunc f() {\n\tgo f()\n}", runtimeFaults, "listeners/tls/a.go:4: go "},
		{"a go statement in a program", "cmd/x/a.go", "package main\nfunc f() {\n\tgo f()\n}", runtimeFaults, ""},
		{"time.AfterFunc under another name", "actors/sm/a.go", "package sm\nimport clock \"time\"\nvar f = clock.AfterFunc", runtimeFaults, "actors/sm/a.go:4: time.AfterFunc "},
		{"context.AfterFunc", "actors/sm/a.go", "package sm\nimport \"context\"\nvar f = context.AfterFunc", runtimeFaults, "actors/sm/a.go:4: context.AfterFunc "},
		{"an AfterFunc of our own clock", "actors/sm/a.go", "package sm\nimport _ \"time\"\nfunc f(ctx clock) { ctx.AfterFunc() }", runtimeFaults, ""},
		{"a wait group's Go", "actors/sm/a.go", "package sm\nfunc f() { c.wg.Go(f) }", runtimeFaults, "actors/sm/a.go:3: c.wg.Go "},
		{"recover", "actors/sm/a.go", "package sm\nfunc f() { defer recover() }", runtimeFaults, "actors/sm/a.go:3: recover "},
		{"recover in the core", "supervisor/cell/a.go", "package cell\nfunc f() { recover() }", runtimeFaults, ""},
		{"recover in a program", "cmd/x/a.go", "package main\nfunc f() { recover() }", runtimeFaults, "cmd/x/a.go:3: recover "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requireFinding(t, tt.rule(parse(t, tt.path, head+tt.src)), tt.want)
		})
	}
	requireFinding(t, licenceFaults(parse(t, "a.go", "\n"+spdx+"\npackage a")), "a.go:1: ")
	requireFinding(t, licenceFaults(parse(t, "a.go", "package a // Apache")), "a.go:1: ")
	requireFinding(t, licenceFaults(parse(t, "a_test.go", "// x\n"+spdx+"\npackage a")), "a_test.go:1: ")
	requireFinding(t, licenceFaults(parse(t, "a.go", spdx+"\npackage a")), "")
	requireFinding(t, licenceFaults(parse(t, "a.go", "// Code generated by x. DO NOT EDIT.\npackage a")), "")
}

func TestTheTopLevelRuleFindsWhatItLooksFor(t *testing.T) {
	whole := append([]string{".git", ".ci", "data"}, topLevel...)
	tests := []struct {
		name  string
		names []string
		want  string
	}{
		{"whole, with an ignored folder and dotfiles", whole, ""},
		{"one too many", append(slices.Clone(whole), "docs"), "docs: "},
		{"one missing", slices.DeleteFunc(slices.Clone(whole), func(n string) bool { return n == "README.md" }), "README.md: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range tt.names {
				require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
			}
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			requireFinding(t, topLevelFaults(entries, "# docs\n/data/\n*.test\n"), tt.want)
		})
	}
}

// source is one Go file of the module.
type source struct {
	path string // from the top of the repository, with slashes
	fset *token.FileSet
	file *ast.File
}

func (s *source) test() bool  { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) pkg() string { return path.Dir(s.path) }

// fault is a finding: where, and what to do about it.
func (s *source) fault(at token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", s.path, s.fset.Position(at).Line, fmt.Sprintf(format, args...))
}

// sources parses every Go file once, whatever its build constraints.
var sources = sync.OnceValues(func() (all []*source, err error) {
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && name != root && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "node_modules") {
			return filepath.SkipDir // as the go command does
		}
		if d.IsDir() || !strings.HasSuffix(base, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		s := &source{path: filepath.ToSlash(rel), fset: token.NewFileSet()}
		s.file, err = parser.ParseFile(s.fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		all = append(all, s)
		return err
	})
	return all, err
})

func parse(t *testing.T, name, src string) *source {
	t.Helper()
	s := &source{path: name, fset: token.NewFileSet()}
	var err error
	s.file, err = parser.ParseFile(s.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	return s
}

// check holds every file of the module to one rule.
func check(t *testing.T, rule func(*source) []string) {
	t.Helper()
	all, err := sources()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, s := range all {
		report(t, rule(s))
	}
}

func report(t *testing.T, faults []string) {
	t.Helper()
	for _, f := range faults {
		t.Error(f)
	}
}

func requireFinding(t *testing.T, got []string, want string) {
	t.Helper()
	if want == "" {
		require.Empty(t, got)
		return
	}
	require.Len(t, got, 1)
	require.True(t, strings.HasPrefix(got[0], want), "got %q, want %q", got[0], want)
}

// within reports whether name is one of list, or below an entry that ends in /*.
func within(name string, list []string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		tree, ok := strings.CutSuffix(entry, "*")
		return name == entry || ok && strings.HasPrefix(name, tree)
	})
}

// rank is the line of pkg in ranks, or -1.
func rank(pkg string) int {
	return slices.IndexFunc(ranks, func(line []string) bool { return within(pkg, line) })
}

func importFaults(s *source) (faults []string) {
	const unranked = "%s has no rank: give it a line in ranks (supervisor/broker/layers_test.go), above all that import it and below all that it imports"
	if s.test() {
		return nil
	}
	own := rank(s.pkg())
	if own < 0 {
		return []string{s.fault(s.file.Package, unranked, s.pkg())}
	}
	for _, spec := range s.file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return append(faults, s.fault(spec.Pos(), "import path %s: %v", spec.Path.Value, err))
		}
		first, _, _ := strings.Cut(name, "/")
		if first != module {
			if strings.HasPrefix(s.pkg(), "protocol") && (name == "C" || strings.Contains(first, ".")) {
				faults = append(faults, s.fault(spec.Pos(), "%s may not import %s: protocol/ has the standard library only; do what needs the module in a package outside it", s.pkg(), name))
			}
			continue
		}
		name = strings.TrimPrefix(name, module+"/")
		switch other := rank(name); {
		case other < 0:
			faults = append(faults, s.fault(spec.Pos(), unranked, name))
		case slices.Contains(testPackages, name) && !slices.Contains(testPackages, s.pkg()):
			faults = append(faults, s.fault(spec.Pos(), "%s may not import %s, which is for tests: import it in a _test.go file", s.pkg(), name))
		case other >= own:
			faults = append(faults, s.fault(spec.Pos(), "%s may not import %s, which does not rank below it: send it a cast, take a func or an interface, or move what both need into a lower package", s.pkg(), name))
		}
	}
	return faults
}

// runtimeFaults finds goroutines and recovers that are not where they may be.
// A call of any method named Go is taken for sync.WaitGroup's or errgroup's.
func runtimeFaults(s *source) (faults []string) {
	if s.test() || slices.Contains(testPackages, s.pkg()) {
		return nil
	}
	starts := within(s.path, mayStart) || within(s.pkg(), mayStart)
	recovers := within(s.pkg(), mayRecover)
	start := func(at ast.Node, what string) {
		if !starts {
			faults = append(faults, s.fault(at.Pos(), "%s begins a goroutine that no supervisor watches: make it an actor, a message to self or work of the group; or argue for a place in mayStart", what))
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			start(n, "go statement")
		case *ast.SelectorExpr:
			for _, lib := range []string{"time", "context"} {
				if n.Sel.Name == "AfterFunc" && refers(s.file, n.X, lib) {
					start(n, lib+".AfterFunc")
				}
			}
		case *ast.CallExpr:
			switch f := n.Fun.(type) {
			case *ast.SelectorExpr:
				if f.Sel.Name == "Go" && len(n.Args) == 1 {
					start(n, types.ExprString(f))
				}
			case *ast.Ident:
				if f.Name == "recover" && !recovers {
					faults = append(faults, s.fault(n.Pos(), "recover hides a panic from its supervisor: let it crash, the cell restores the state; or argue for a place in mayRecover"))
				}
			}
		}
		return true
	})
	return faults
}

// refers reports whether x is the name under which file imports lib.
func refers(file *ast.File, x ast.Expr, lib string) bool {
	id, ok := x.(*ast.Ident)
	return ok && slices.ContainsFunc(file.Imports, func(spec *ast.ImportSpec) bool {
		if spec.Path.Value != strconv.Quote(lib) {
			return false
		}
		return spec.Name == nil && id.Name == lib || spec.Name != nil && id.Name == spec.Name.Name
	})
}

func licenceFaults(s *source) []string {
	if ast.IsGenerated(s.file) {
		return nil
	}
	if c := s.file.Comments; len(c) > 0 && s.fset.Position(c[0].Pos()).Offset == 0 && c[0].List[0].Text == spdx {
		return nil
	}
	return []string{s.fault(s.fset.File(s.file.FileStart).Pos(0), "the first line has to be %q", spdx)}
}

// topLevelFaults compares the top of the repository with topLevel. What the
// ignore file names there (programs built in place, a data folder) is not part
// of the repository.
func topLevelFaults(entries []fs.DirEntry, ignore string) (faults []string) {
	missing := slices.Clone(topLevel)
	for _, e := range entries {
		name := e.Name()
		if i := slices.Index(missing, name); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		} else if name[0] != '.' && !ignored(e, ignore) {
			faults = append(faults, name+": the top level is fixed ("+strings.Join(topLevel, ", ")+" and dotfiles); move it below one of them")
		}
	}
	for _, name := range missing {
		faults = append(faults, name+": belongs to the top level and is not there; write it")
	}
	return faults
}

// ignored reports whether a pattern without inner slashes matches e.
func ignored(e fs.DirEntry, ignore string) bool {
	return slices.ContainsFunc(strings.Split(ignore, "\n"), func(pattern string) bool {
		if strings.HasSuffix(pattern, "/") && !e.IsDir() {
			return false
		}
		ok, err := path.Match(strings.Trim(pattern, "/"), e.Name())
		return ok && err == nil
	})
}
