package main

import (
	"fmt"
	"net/url"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdURL is a Unix socket: it takes no port that a test running beside this
// one could take too.
func etcdURL(dir string) url.URL {
	return url.URL{Scheme: "unix", Path: filepath.Join(dir, "etcd.sock")}
}

// startEtcd returns when etcd serves.
func startEtcd(dir string) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.ListenClientUrls = []url.URL{etcdURL(dir)}
	// The only member has no peers. The URLs that it advertises stay at their
	// defaults: they must name a TCP port, and nobody dials them.
	config.ListenPeerUrls = nil
	// The only member waits for no other before it leads.
	config.TickMs = 10
	config.ElectionMs = 100
	config.LogLevel = "error"
	// Data has to survive the end of this process, not of the machine.
	config.UnsafeNoFsync = true

	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, fmt.Errorf("etcd: %w", err)
	}
}
