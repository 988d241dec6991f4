// SPDX-License-Identifier: Apache-2.0

package api

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"
)

// document is what OpenAPI says of the routes of this package.
//
//go:embed openapi.yaml
var document []byte

// mergeDocuments makes one OpenAPI document of the first and of the paths and
// schemas of the others.
func mergeDocuments(texts [][]byte) ([]byte, error) {
	var whole map[string]any
	for i, text := range texts {
		var part map[string]any
		if err := yaml.Unmarshal(text, &part); err != nil {
			return nil, fmt.Errorf("api: OpenAPI document %d: %w", i, err)
		}
		if i == 0 {
			whole = part
			continue
		}
		if err := merge(whole, part, "paths"); err != nil {
			return nil, err
		}
		if c, ok := part["components"].(map[string]any); ok {
			for name := range c {
				if err := merge(whole["components"].(map[string]any), c, name); err != nil {
					return nil, err
				}
			}
		}
		if tags, ok := part["tags"].([]any); ok {
			all, _ := whole["tags"].([]any)
			whole["tags"] = append(all, tags...)
		}
	}
	return json.Marshal(whole)
}

// merge adds the entries that part has under key to those of whole; two of one
// name are a mistake.
func merge(whole, part map[string]any, key string) error {
	from, _ := part[key].(map[string]any)
	to, _ := whole[key].(map[string]any)
	if to == nil {
		to = map[string]any{}
		whole[key] = to
	}
	for name, v := range from {
		if _, twice := to[name]; twice {
			return fmt.Errorf("api: two OpenAPI documents describe %s", name)
		}
		to[name] = v
	}
	return nil
}
