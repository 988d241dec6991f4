// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

// ends of one connection, as Conns
func bothEnds(t *testing.T, client, srv Options) (*Conn, *Conn) {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	srv.Server = true
	return New(a, client), New(b, srv)
}

func TestConn(t *testing.T) {
	t.Run("both ends learn the version from CONNECT", func(t *testing.T) {
		eachVersion(t, func(t *testing.T, version packet.Version) {
			c, s := bothEnds(t, Options{}, Options{})
			go func() { _ = c.Send(&packet.Connect{Version: version, ClientID: "x"}) }()
			_, err := s.Receive(t.Context())
			require.NoError(t, err)
			require.Equal(t, version, s.Version())
			go func() { _ = s.Send(&packet.Suback{ID: 1, Codes: []packet.ReasonCode{packet.NotAuthorized}}) }()
			p, err := c.Receive(t.Context())
			require.NoError(t, err)
			want := packet.UnspecifiedError // 0x80, the one failure of 3.1.1
			if version == packet.V5 {
				want = packet.NotAuthorized
			}
			require.Equal(t, []packet.ReasonCode{want}, p.(*packet.Suback).Codes)
		})
	})

	t.Run("the tap sees packets and bytes of both directions", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			var seen []string
			c, s := bothEnds(t, Options{Version: packet.V311, Tap: func(e Event) {
				way := "<"
				if e.Sent {
					way = ">"
				}
				if e.Packet != nil {
					way += e.Packet.Type().String()
				}
				seen = append(seen, way+" "+hex.EncodeToString(e.Bytes))
			}}, Options{})
			go func() {
				_, _ = s.nc.Read(make([]byte, 64))
				_ = s.SendRaw([]byte{0xD0}) // PINGRESP in two parts
				_ = s.SendRaw([]byte{0x00, 0x40, 0x02, 0x00, 0x07})
				_, _ = s.nc.Read(make([]byte, 64))
			}()
			require.NoError(t, c.Send(&packet.Pingreq{}))
			for range 2 {
				_, err := c.Receive(t.Context())
				require.NoError(t, err)
			}
			require.NoError(t, c.SendRaw([]byte{0xF0, 0x00}))
			require.Equal(t, []string{">PINGREQ c000", "<PINGRESP d000", "<PUBACK 40020007", "> f000"}, seen)
		})
	})

	t.Run("a deadline in the middle of a packet loses nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			c, s := bothEnds(t, Options{Version: packet.V311}, Options{})
			go func() { _ = s.SendRaw(unhex(t, "30 05 0001")) }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := c.Receive(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			go func() { _ = s.SendRaw([]byte("tpp")) }()
			p, err := c.Receive(t.Context())
			require.NoError(t, err)
			require.Equal(t, "pp", string(p.(*packet.Publish).Payload))
		})
	})

	t.Run("a packet owns its memory, whatever its length", func(t *testing.T) {
		for _, size := range []int{0, 1, 15, 16, 17, 40, 100_000} {
			bubble(t, func(t *testing.T) {
				c, s := bothEnds(t, Options{Version: packet.V311, ReadBuffer: 16}, Options{Version: packet.V311})
				want := bytes.Repeat([]byte{'x'}, size)
				go func() {
					_ = s.Send(&packet.Publish{Topic: []byte("t"), Payload: want})
					for range 2000 {
						_ = s.Send(&packet.Pingresp{})
					}
				}()
				p, err := c.Receive(t.Context())
				require.NoError(t, err)
				for range 2000 {
					_, err = c.Receive(t.Context())
					require.NoError(t, err)
				}
				require.Equal(t, "t", string(p.(*packet.Publish).Topic))
				require.Equal(t, string(want), string(p.(*packet.Publish).Payload))
			})
		}
	})

	t.Run("the end of the stream", func(t *testing.T) {
		for _, c := range []struct {
			name, sent string
			want       error
		}{
			{"between packets is EOF", "d0 00", io.EOF},
			{"within a packet is unexpected", "d0 00 30", io.ErrUnexpectedEOF},
			{"behind a fault is the fault, again and again", "d0 00 d0 01", packet.FaultTrailing},
			{"reserved type", "d0 00 00 00", packet.FaultReservedType},
			{"too large", "d0 00 30 80 08", packet.FaultPacketTooLarge},
		} {
			t.Run(c.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					cl, s := bothEnds(t, Options{Version: packet.V311, MaxPacketSize: 1000}, Options{})
					go func() {
						_ = s.SendRaw(unhex(t, c.sent))
						_ = s.Close()
					}()
					_, err := cl.Receive(t.Context())
					require.NoError(t, err)
					for range 2 {
						_, err = cl.Receive(t.Context())
						require.ErrorIs(t, err, c.want)
					}
				})
			})
		}
	})

	t.Run("what the version cannot say is not sent", func(t *testing.T) {
		c, _ := bothEnds(t, Options{Version: packet.V311}, Options{})
		require.Error(t, c.Send(&packet.Auth{}))
	})
}
