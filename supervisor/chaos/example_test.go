// SPDX-License-Identifier: Apache-2.0

package chaos_test

import (
	"context"
	"fmt"
	"net"

	"github.com/rs/zerolog"

	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/chaos"
)

// A program that embeds the broker breaks it on purpose, and has the contract
// checked by clients of its own.
func ExampleAt() {
	cfg, _, err := config.Load(config.Sources{Sets: []string{"listeners.tcp.default.bind=127.0.0.1:0", "listeners.ws.default.bind=",
		"dashboard.bind=", "store.engine=memory"}})
	if err != nil {
		panic(err)
	}
	b, err := broker.Start(cfg, zerolog.Nop())
	if err != nil {
		panic(err)
	}
	defer b.Close()

	faults := chaos.NewInjector(chaos.Options{})
	defer faults.ClearAll()
	if _, err := faults.Add(chaos.At("protocol/received").Panic().Nth(3)); err != nil {
		panic(err)
	}
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", b.Addr("listeners.tcp.default").String())
	}
	report := chaos.Run(context.Background(), dial, chaos.Plan{Seed: 1, Steps: 50, Durable: true})
	fmt.Println("crashes:", faults.List()[0].Hits, "contract kept:", report.Pass())
	// Output: crashes: 1 contract kept: true
}
