// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Sources are the layers above the defaults, lowest first.
type Sources struct {
	File string   // path of the YAML file; empty: none
	Env  []string // NAME=value as os.Environ gives it; what is not EMQTTD_SECTION__KEY is passed over
	Sets []string // section.key=value, in the order of the command line
}

// Load reads the layers, checks the result and returns it with the origin of
// every value. On any mistake it returns an *Error with all of them and no
// configuration. It opens no file but Sources.File: see CheckFiles.
func Load(s Sources) (*Config, *Origins, error) {
	var text string
	if s.File != "" {
		var err error
		if text, err = readBounded(s.File); err != nil {
			return nil, nil, &Error{[]Problem{{Text: err.Error()}}}
		}
	}
	return load(s, text)
}

// readBounded reads a file of at most maxText bytes.
func readBounded(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // read only: nothing to lose
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > maxText {
		return "", fmt.Errorf("%s is longer than %d bytes", path, maxText)
	}
	return string(text), nil
}

// load is Load with the text of the file.
func load(s Sources, text string) (*Config, *Origins, error) {
	d := &decoder{cfg: Default(), origins: &Origins{byKey: map[string]Origin{}}}
	d.file(s.File, text)
	d.environment(s.Env)
	d.sets(s.Sets)
	d.validate()
	if err := d.err(); err != nil {
		return nil, nil, err
	}
	return d.cfg, d.origins, nil
}

func (d *decoder) file(name, text string) {
	from := Origin{Layer: LayerFile, Name: name}
	v, err := parse(strings.TrimPrefix(text, "\uFEFF"))
	if err != nil {
		p := &position{text: err.Error()}
		errors.As(err, &p)
		// Nothing of the file is known, so nothing may be said to be missing.
		d.blame("")
		d.add(from.in(p.line, p.col).String(), "", "%s", p.text)
		return
	}
	d.decode(v, from)
}

const envPrefix = "EMQTTD_"

// environment reads the variables whose name has two underscores in a row
// behind the prefix. Others are left alone: Kubernetes sets EMQTTD_PORT and
// its like for a service named emqttd.
func (d *decoder) environment(env []string) {
	for _, pair := range slices.Sorted(slices.Values(env)) {
		name, text, _ := strings.Cut(pair, "=")
		path, ours := strings.CutPrefix(name, envPrefix)
		if !ours || !strings.Contains(path, "__") {
			continue
		}
		d.overlay(strings.Split(strings.ToLower(path), "__"), text, Origin{Layer: LayerEnv, Name: name})
	}
}

func (d *decoder) sets(sets []string) {
	for _, set := range sets {
		key, text, ok := strings.Cut(set, "=")
		key = strings.TrimSpace(key)
		from := Origin{Layer: LayerSet, Name: key}
		if !ok {
			d.add("--set "+cut(set), "", "expected section.key=value")
			continue
		}
		d.overlay(strings.Split(key, "."), text, from)
	}
}

// overlay sets one key, as if a file held nothing else.
func (d *decoder) overlay(path []string, text string, from Origin) {
	switch {
	case len(path) > maxDepth || len(text) > maxText:
		d.add(from.String(), "", "too long")
		return
	case slices.Contains(path, ""):
		d.add(from.String(), "", "a part of the key is empty")
		return
	}
	v := &value{shape: scalar, text: text, raw: true}
	for _, name := range slices.Backward(path) {
		v = &value{shape: mapping, entries: []entry{{name: name, value: v}}}
	}
	d.decode(v, from)
}
