// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"time"

	"emqttd/supervisor/cell"
)

// Node is an actor of the live tree with what is below it.
type Node struct {
	cell.Info
	// Strategy is that of a supervisor, "" for other actors; Used of MaxRestarts
	// were used within the last Within.
	Strategy    string
	MaxRestarts int
	Within      time.Duration
	Used        int
	// Children are those of a supervisor in the order of their start; of a
	// simple_one_for_one as many as were asked for, and More is the number of those
	// that were started after them.
	Children []Node
	More     int
}

// Tree is the tree from s down, with at most max children of each
// simple_one_for_one supervisor. It may be called from anywhere; each supervisor
// is looked at for as long as it takes to copy so many names, and actors not at
// all.
func (s *Supervisor) Tree(max int) Node {
	n := Node{Info: s.cell.Info(), Strategy: s.opts.Strategy.String(), MaxRestarts: s.opts.MaxRestarts, Within: s.opts.Within}
	static, dynamic, more, used := s.look(max)
	n.Used, n.More = used, more
	for _, c := range static {
		if c.Supervisor != nil {
			n.Children = append(n.Children, c.Supervisor.Tree(max)) // as deep as the boot list
			continue
		}
		n.Children = append(n.Children, Node{Info: c.Cell.Info()})
	}
	for _, c := range dynamic {
		n.Children = append(n.Children, Node{Info: c.Info()})
	}
	return n
}

func (s *Supervisor) look(max int) (static []*child, dynamic []*cell.Cell, more, used int) {
	now := s.cell.Group().Clock().Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.crashes {
		if at > now-int64(s.opts.Within) {
			used++
		}
	}
	for c := range s.roster.from(0) {
		if len(dynamic) == max {
			break
		}
		dynamic = append(dynamic, c)
	}
	return s.children, dynamic, s.roster.len() - len(dynamic), used
}

// Page is at most max of the children of s in the order of their start, without
// the first skip, and how many there are. It may be called from anywhere.
func (s *Supervisor) Page(skip, max int) (page []cell.Info, total int) {
	var cells []*cell.Cell
	s.mu.Lock()
	total = len(s.children) + s.roster.len()
	if s.opts.Strategy == SimpleOneForOne {
		for c := range s.roster.from(skip) {
			if len(cells) == max {
				break
			}
			cells = append(cells, c)
		}
	}
	s.mu.Unlock()
	if s.opts.Strategy != SimpleOneForOne {
		for _, c := range s.children[min(skip, total):] { // immutable
			if len(cells) < max {
				cells = append(cells, c.Cell)
			}
		}
	}
	for _, c := range cells {
		page = append(page, c.Info())
	}
	return page, total
}

// Find is the supervisor of that name from s down, nil when there is none.
func (s *Supervisor) Find(name string) *Supervisor {
	if s.name == name {
		return s
	}
	for _, c := range s.children { // immutable
		if c.Supervisor != nil {
			if found := c.Supervisor.Find(name); found != nil {
				return found
			}
		}
	}
	return nil
}

// Down is the names of the services from s down that take no messages: not
// started yet, or their incarnations can not be made. A crash that is repaired at
// once does not count, nor do connections and sessions.
func (s *Supervisor) Down() []string {
	var down []string
	switch s.cell.Life() {
	case cell.Up, cell.Restarting:
	default:
		down = append(down, s.name)
	}
	for _, c := range s.children { // immutable
		if c.Supervisor != nil {
			down = append(down, c.Supervisor.Down()...)
			continue
		}
		if l := c.Cell.Life(); l != cell.Up && l != cell.Restarting {
			down = append(down, c.Cell.Name())
		}
	}
	return down
}

// Services calls yield for the cells of s and of the services below it, until it
// returns false; not for connections and sessions.
func (s *Supervisor) Services(yield func(*cell.Cell) bool) bool {
	if !yield(s.cell) {
		return false
	}
	for _, c := range s.children { // immutable
		if c.Supervisor != nil {
			if !c.Supervisor.Services(yield) {
				return false
			}
		} else if !yield(c.Cell) {
			return false
		}
	}
	return true
}
