// SPDX-License-Identifier: Apache-2.0

package acl

// Policy asks sources of rules in order and decides where none does. It is the
// chain of emqttd_access_control:check_acl/3, except that emqttd allowed what
// nobody spoke of, even with an empty chain and for $SYS.
//
// A Policy is not changed after it is in use; a source that can be reloaded
// replaces its own rules.
type Policy struct {
	Sources []Authorizer
	// AllowUnmatched is emqttd's {nomatch, allow}.
	AllowUnmatched bool
}

const (
	superRule   = "superuser"
	noRule      = "no rule speaks of it"
	sysRule     = "publishing to $SYS needs a rule that names $SYS"
	partialRule = "no rule covers every topic of the filter"
)

// Check is the decision for op. Effect is Allow or Deny, never NoMatch.
func (p *Policy) Check(s *Subject, op Operation) Decision {
	guarded := op.Action == Publish && isSys(op.Topic)
	if s.Superuser && !guarded {
		return Decision{Effect: Allow, Rule: superRule}
	}
	partial := false
	for _, source := range p.Sources {
		d := source.Check(s, op)
		if d.Effect == Allow {
			return d
		}
		partial = partial || d.Partial
		if d.Effect == Deny {
			d.Partial = partial
			return d
		}
	}
	switch {
	case guarded:
		return Decision{Effect: Deny, Rule: sysRule}
	case p.AllowUnmatched:
		return Decision{Effect: Allow, Rule: noRule}
	case partial:
		return Decision{Effect: Deny, Partial: true, Rule: partialRule}
	}
	return Decision{Effect: Deny, Rule: noRule}
}
