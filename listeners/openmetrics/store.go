// SPDX-License-Identifier: Apache-2.0

package openmetrics

// store is what durability costs: every acknowledgement that waits for the disk
// waits for one of these syncs.
func (c *collector) store(w *writer) {
	m := c.Metrics
	w.durations("emqttd_store_commit_seconds", "Synced writes of the store, each of which makes a group of commits durable; their number is that of the syncs.", &m.StoreSync)
	w.distribution("emqttd_store_batch_bytes", "Bytes of a synced write of the store.", m.StoreBatch.Distribution(), nil)
	w.counter("emqttd_store_commits_total", "Commits that became durable: acknowledgements, and changes of sessions.", m.StoreCommits.Load())
	w.counter("emqttd_store_early_total", "Commits that were acknowledged before they were durable, at the level memory.", m.StoreEarly.Load())
}
