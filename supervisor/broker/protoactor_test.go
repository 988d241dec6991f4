// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// protoActor is the actor library; it is met in the core alone.
const protoActor = "github.com/asynkron/protoactor-go"

var mayUseProtoActor = []string{"supervisor", "supervisor/cell"}

// lossy is what of it loses messages, races, or leaves an actor suspended: the
// list of faults in the doc of package supervisor says which and how.
var lossy = []string{"Stash", "SetReceiveTimeout", "EventStream", "ResumeChildren", "ResumeDirective", "Shutdown",
	"NewOneForOneStrategy", "NewAllForOneStrategy", "NewExponentialBackoffStrategy", "NewRestartStatistics", "Fail", "NumberOfFailures",
	"WithReceiverMiddleware", "WithSenderMiddleware", "WithContextDecorator", "WithMetricProviders", "WithDefaultPrometheusProvider",
	"Bounded", "Unbounded", "RequestFuture", "WithDispatcher"}

func TestNothingOfProtoActorIsUsedThatLosesMessages(t *testing.T) {
	check(t, protoActorFaults)
	const head = spdx + "\npackage x\nimport \"" + protoActor + "/actor\"\n"
	requireFinding(t, protoActorFaults(parse(t, "supervisor/cell/a.go", head+"func f(x actor.Context) {\n\tx.Stash()\n}")), "supervisor/cell/a.go:5: Stash ")
	requireFinding(t, protoActorFaults(parse(t, "actors/sm/a.go", head)), "actors/sm/a.go:3: actors/sm may not import ")
	requireFinding(t, protoActorFaults(parse(t, "supervisor/a.go", head+"func f(x actor.Context) { x.Stop(nil) }")), "")
	requireFinding(t, protoActorFaults(parse(t, "listeners/a.go", spdx+"\npackage x\nfunc f() { x.Shutdown() }")), "")
}

func protoActorFaults(s *source) (faults []string) {
	if s.test() {
		return nil
	}
	used := false
	for _, spec := range s.file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if !strings.HasPrefix(name, protoActor) {
			continue
		}
		if used = true; !slices.Contains(mayUseProtoActor, s.pkg()) {
			faults = append(faults, s.fault(spec.Pos(), "%s may not import %s: actors are cells (supervisor/cell)", s.pkg(), name))
		}
	}
	if !used {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(lossy, sel.Sel.Name) {
			faults = append(faults, s.fault(sel.Pos(), "%s of protoactor is among the faults in the doc of package supervisor", sel.Sel.Name))
		}
		return true
	})
	return faults
}
