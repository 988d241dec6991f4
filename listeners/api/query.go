// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Query is what a request for a list wants: ?page, ?limit, ?sort (a field, "-"
// before it for the other way round), ?search (a part of a text, case does not
// matter) and one filter per further parameter.
type Query struct {
	Page, Limit int // from 1
	Sort        string
	Desc        bool
	Search      string // lower case
	Filters     map[string]string
	Scan        int // entries that may be looked at
}

// Offset is how many entries lie before the page.
func (q *Query) Offset() int { return (q.Page - 1) * q.Limit }

// List describes a list to the reader of its query.
type List struct {
	Sorts   []string // the first is the order without ?sort
	Filters []string
}

// Bounds are the bounds of lists, from the configuration.
type Bounds struct{ Page, Offset, Scan int }

const defaultLimit = 50

// read reads a query; what it does not know is a problem, since a filter that is
// passed over in silence shows too much.
func (l *List) read(v url.Values, b Bounds) (q Query, err error) {
	q = Query{Page: 1, Limit: min(defaultLimit, b.Page), Filters: map[string]string{}, Scan: b.Scan}
	if len(l.Sorts) > 0 {
		q.Sort = l.Sorts[0]
	}
	for name, values := range v {
		if len(values) != 1 || len(values[0]) > maxParameter {
			return q, Fail(http.StatusBadRequest, "?%s is to be given once, with at most %d bytes", name, maxParameter)
		}
		if err := l.parameter(&q, name, values[0], b); err != nil {
			return q, err
		}
	}
	if q.Offset() > b.Offset {
		return q, Fail(http.StatusBadRequest, "page %d of %d entries lies behind the first %d: use a filter or ?search", q.Page, q.Limit, b.Offset)
	}
	return q, nil
}

const maxParameter = 65535 // bytes; a topic can be as long

func (l *List) parameter(q *Query, name, value string, b Bounds) error {
	switch {
	case name == "page":
		return number(name, value, &q.Page, 1, b.Offset+1)
	case name == "limit":
		return number(name, value, &q.Limit, 1, b.Page)
	case name == "sort" && len(l.Sorts) > 0:
		field, desc := strings.CutPrefix(value, "-")
		if !slices.Contains(l.Sorts, field) {
			return Fail(http.StatusBadRequest, "?sort=%s: there are %s", value, strings.Join(l.Sorts, ", "))
		}
		q.Sort, q.Desc = field, desc
	case name == "search":
		q.Search = strings.ToLower(value)
	case slices.Contains(l.Filters, name):
		q.Filters[name] = value
	default:
		return Fail(http.StatusBadRequest, "?%s is unknown here: there are page, limit, sort, search%s", name, andAll(l.Filters))
	}
	return nil
}

func andAll(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", " + strings.Join(names, ", ")
}

func number(name, value string, to *int, low, high int) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return Fail(http.StatusBadRequest, "?%s is to be a number from %d to %d", name, low, high)
	}
	*to = n
	return nil
}

// Contains reports whether one of the texts contains the search; without a search
// everything does.
func (q *Query) Contains(texts ...string) bool {
	return q.Search == "" || slices.ContainsFunc(texts, func(s string) bool {
		return strings.Contains(strings.ToLower(s), q.Search)
	})
}

// Is reports whether a filter lets value through.
func (q *Query) Is(filter, value string) bool {
	want, given := q.Filters[filter]
	return !given || want == value
}
