// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"emqttd/actors/session"
	"emqttd/actors/sm"
	"emqttd/actors/store"
)

// Graves are the sessions that have dead letters, those with the newest first.
func (b *Broker) Graves() []session.Grave { return b.pub.Dead.Graves() }

// DeadLetters are those of a client id's session, oldest first: messages that
// crashed the session twice. The error is session.ErrNoSession when there is no
// such session.
func (b *Broker) DeadLetters(ctx context.Context, clientID string) ([]*store.Dead, error) {
	return b.dead(ctx, clientID, session.ListDead, nil)
}

// ReplayDeadLetters hands dead letters to their session again, as new messages,
// and returns them; without serials all of them. Those that crash it again stay,
// with session.ErrPoison, or are dead letters anew.
func (b *Broker) ReplayDeadLetters(ctx context.Context, clientID string, serials ...uint64) ([]*store.Dead, error) {
	return b.dead(ctx, clientID, session.ReplayDead, serials)
}

// DeleteDeadLetters drops dead letters and returns them; without serials all.
func (b *Broker) DeleteDeadLetters(ctx context.Context, clientID string, serials ...uint64) ([]*store.Dead, error) {
	return b.dead(ctx, clientID, session.DeleteDead, serials)
}

func (b *Broker) dead(ctx context.Context, clientID string, op session.DeadOp, serials []uint64) ([]*store.Dead, error) {
	r := &session.DeadRequest{Op: op, Serials: serials, Reply: make(chan session.DeadReply, 1)}
	sm.DeadLetters(b.env, clientID, r)
	select {
	case answer := <-r.Reply:
		return answer.Letters, answer.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
