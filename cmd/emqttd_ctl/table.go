// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// row is one thing of a list, as the broker sends it.
type row = map[string]any

// page is one page of a list.
type page struct {
	Items     []row `json:"items"`
	Total     int   `json:"total"`
	Page      int   `json:"page"`
	Limit     int   `json:"limit"`
	Truncated bool  `json:"truncated"`
}

// printJSON prints a value for programs.
func (c *ctl) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (c *ctl) line(format string, args ...any) { _, _ = fmt.Fprintf(c.out, format+"\n", args...) }

// table prints rows. A column is a field's name; "a.b" is a field within a field,
// and "a>title" has another heading.
func (c *ctl) table(rows []row, columns ...string) error {
	w := tabwriter.NewWriter(c.out, 0, 8, 2, ' ', 0)
	var head []string
	for i, col := range columns {
		field, title, ok := strings.Cut(col, ">")
		if !ok {
			title = field
		}
		columns[i] = field
		head = append(head, strings.ToUpper(strings.ReplaceAll(title, "_", " ")))
	}
	_, _ = fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, r := range rows {
		var cells []string
		for _, field := range columns {
			cells = append(cells, text(at(r, field)))
		}
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// fields prints one thing, a line for each field.
func (c *ctl) fields(r row) error {
	if c.json {
		return c.printJSON(r)
	}
	names := make([]string, 0, len(r))
	width := 0
	for name, v := range r {
		if _, list := v.([]any); list {
			continue
		}
		names = append(names, name)
		width = max(width, len(name))
	}
	sort.Strings(names)
	for _, name := range names {
		c.line("%-*s : %s", width, name, text(r[name]))
	}
	return nil
}

func at(r row, field string) any {
	first, rest, nested := strings.Cut(field, ".")
	v := r[first]
	if inner, ok := v.(row); ok && nested {
		return at(inner, rest)
	}
	return v
}

// text is a value in a cell: one line, nothing that a terminal would obey, since
// client ids and topics come from outside.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		if v == "" {
			return "-"
		}
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return t.Local().Format(time.DateTime)
		}
		return printable(v)
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return printable(string(b))
}

func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	return strconv.Quote(s)
}

// listing is the flags of a list.
type listing struct {
	search, sort string
	limit        int
	filters      map[string]*string
}

func (l *listing) flags(cmd *cobra.Command, filters ...string) {
	cmd.Flags().StringVar(&l.search, "search", "", "what contains this text")
	cmd.Flags().StringVar(&l.sort, "sort", "", "by this field; -FIELD turns it round")
	cmd.Flags().IntVar(&l.limit, "limit", 0, "at most so many; 0: all")
	l.filters = map[string]*string{}
	for _, f := range filters {
		l.filters[f] = cmd.Flags().String(strings.ReplaceAll(f, "_", "-"), "", "only what has this "+strings.ReplaceAll(f, "_", " "))
	}
}

const pageSize = 100

// all fetches a list, page by page.
func (c *ctl) all(ctx context.Context, path string, l *listing) ([]row, error) {
	q := url.Values{}
	if l.search != "" {
		q.Set("search", l.search)
	}
	if l.sort != "" {
		q.Set("sort", l.sort)
	}
	for name, v := range l.filters {
		if *v != "" {
			q.Set(name, *v)
		}
	}
	rows := []row{}
	for n := 1; ; n++ {
		size := pageSize
		if l.limit > 0 {
			size = min(size, l.limit) // the same for every page, or they would overlap
		}
		q.Set("page", strconv.Itoa(n))
		q.Set("limit", strconv.Itoa(size))
		var p page
		if err := c.call(ctx, "GET", path+"?"+q.Encode(), nil, &p); err != nil {
			return nil, err
		}
		rows = append(rows, p.Items...)
		if l.limit > 0 && len(rows) >= l.limit {
			return rows[:l.limit], nil
		}
		if len(p.Items) < size || len(rows) >= p.Total && !p.Truncated {
			if p.Truncated {
				_, _ = fmt.Fprintln(c.err, "emqttd_ctl: the broker stopped looking at its bound: there may be more; use a filter")
			}
			return rows, nil
		}
	}
}

// list makes a command that prints a list.
func (c *ctl) list(use, short, path string, filters []string, columns ...string) *cobra.Command {
	l := new(listing)
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		rows, err := c.all(cmd.Context(), path, l)
		if err != nil {
			return err
		}
		return c.rows(rows, columns...)
	}}
	l.flags(cmd, filters...)
	return cmd
}

// rows prints a whole list.
func (c *ctl) rows(rows []row, columns ...string) error {
	if c.json {
		return c.printJSON(rows)
	}
	return c.table(rows, append([]string(nil), columns...)...)
}

// plain makes a command that prints an answer which is a list without pages.
func (c *ctl) plain(use, short, path string, columns ...string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		var rows []row
		if err := c.call(cmd.Context(), "GET", path, nil, &rows); err != nil {
			return err
		}
		return c.rows(rows, columns...)
	}}
}

// show makes a command that prints one thing; path has a %s for the argument.
func (c *ctl) show(use, short, path string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		var r row
		if err := c.call(cmd.Context(), "GET", fmt.Sprintf(path, url.PathEscape(args[0])), nil, &r); err != nil {
			return err
		}
		return c.fields(r)
	}}
}

// act makes a command that changes something; path has a %s for each argument.
func (c *ctl) act(use, short, method, path, done string) *cobra.Command {
	n := strings.Count(path, "%s")
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(n), RunE: func(cmd *cobra.Command, args []string) error {
		var escaped []any
		for _, a := range args {
			escaped = append(escaped, url.PathEscape(a))
		}
		if err := c.call(cmd.Context(), method, fmt.Sprintf(path, escaped...), nil, nil); err != nil {
			return err
		}
		return c.done(done)
	}}
}

// done says that something was done.
func (c *ctl) done(what string) error {
	if !c.json {
		c.line("%s", what)
	}
	return nil
}

// family is a noun with its verbs.
func family(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(verbs...)
	return cmd
}
