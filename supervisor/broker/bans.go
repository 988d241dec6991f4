// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"emqttd/actors/access"
	"emqttd/listeners/api"
)

// bansFile keeps the bans of operators and of poison; those of the configuration
// come from there.
const bansFile = "bans.json"

const fromConfiguration = "configuration" // By of a ban

// loadBans takes up the bans of the run before.
func (b *Broker) loadBans() error {
	path := b.dataFile(bansFile)
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var list []access.Ban
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return fmt.Errorf("bans %s: %w", path, err)
	}
	now := time.Now()
	for _, ban := range list {
		if !ban.Until.IsZero() && !now.Before(ban.Until) {
			continue
		}
		if err := b.gates.Load().bans.Add(now, ban); err != nil {
			return fmt.Errorf("bans %s: %w", path, err)
		}
	}
	return b.gates.Load().readBans() // the configuration's own say
}

// banned takes note of a ban that poison has made. It runs on an event loop: the
// file is written by a worker, and if none has room, by the next ban or the end of
// the broker.
func (b *Broker) banned(ban access.Ban) {
	b.log.Warn().Str("client_id", ban.Value).Time("until", ban.Until).Str("reason", ban.Reason).Msg("client banned")
	b.bansOwed.Store(true)
	b.pool.Try(b.saveOwed)
}

// saveOwed writes the list if a ban was made that is not written.
func (b *Broker) saveOwed() {
	if !b.bansOwed.Swap(false) {
		return
	}
	if err := b.saveBans(); err != nil {
		b.bansOwed.Store(true)
		b.log.Error().Err(err).Msg("a ban is not saved: it ends with the broker")
	}
}

// saveBans writes the list after a change by an operator.
func (b *Broker) saveBans() error {
	path := b.dataFile(bansFile)
	if path == "" {
		return nil
	}
	b.banFile.Lock()
	defer b.banFile.Unlock()
	list := []access.Ban{}
	for _, ban := range b.gates.Load().bans.List(time.Now()) {
		if ban.By != fromConfiguration {
			list = append(list, ban)
		}
	}
	text, err := json.Marshal(list)
	if err == nil {
		err = api.WriteFile(path, text)
	}
	if err != nil {
		return fmt.Errorf("bans: %w", err)
	}
	return nil
}
