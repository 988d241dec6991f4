// SPDX-License-Identifier: Apache-2.0

package api

import "context"

// Broker is what the API shows and changes. Its methods are called from any
// goroutine, may wait as long as ctx lets them, and return ErrNotFound and its
// like, or a *Problem. Lists are as their Query wants them.
type Broker interface {
	Node() Node
	// Ready says whether clients are served; if not, why.
	Ready() (ok bool, why string)
	Listeners() []Listener
	Stats() Stats
	Metrics() Metrics
	Config() []ConfigKey

	Clients(ctx context.Context, q Query) (Page[Client], error)
	Client(ctx context.Context, clientID string) (*ClientDetail, error)
	Sessions(ctx context.Context, q Query) (Page[Session], error)
	Session(ctx context.Context, clientID string) (*Session, error)
	Subscriptions(ctx context.Context, q Query) (Page[Subscription], error)
	Routes(ctx context.Context, q Query) (Page[TableRoute], error)
	Topics(ctx context.Context, q Query) (Page[Topic], error)
	Retained(ctx context.Context, q Query) (Page[Retained], error)
	RetainedMessage(ctx context.Context, topic string) (*RetainedMessage, error)
	RetainedTree(ctx context.Context, q Query) (Page[Branch], error)
	ActorKinds() []ActorKind
}
