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
	// Actors is the supervision tree, with at most max children of each
	// supervisor of connections or sessions.
	Actors(max int) Actor

	// ActorChildren is a page of a supervisor's children, in the order of their start.
	ActorChildren(supervisor string, q Query) (Page[Actor], error)

	// Kick ends a client's connection; EndSession its session, too.
	Kick(ctx context.Context, clientID string) error
	EndSession(ctx context.Context, clientID string) error
	// Subscribe and Unsubscribe change a session on behalf of its client. They
	// return when that is effective, and durable if the session is.
	Subscribe(ctx context.Context, clientID string, s NewSubscription) (*Subscription, error)
	Unsubscribe(ctx context.Context, clientID, filter string) error
	// Publish returns when the broker has taken the message, as far as its QoS says.
	Publish(ctx context.Context, m NewMessage) (Published, error)
	// ForgetRetained deletes the retained messages of a filter and says how many.
	ForgetRetained(ctx context.Context, filter string) (int, error)
	Bans(q Query) (Page[Ban], error)
	// AddBan bans, and returns how many connections that ended.
	AddBan(b Ban) (Ban, int, error)
	DeleteBan(kind, value string) error
	// Reload reads configuration and files anew, and returns the keys that need a
	// restart.
	Reload() (needRestart []string, err error)
	// StopActor and CrashActor do so on purpose, where chaos.enabled allows it.
	StopActor(name string) error
	CrashActor(name string) error
}
