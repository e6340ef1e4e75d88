package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// controlPlane runs etcd and kube-apiserver until it is told to end. All that
// they keep is in one directory, so that a second start on the same directory
// and port is the same cluster.
func controlPlane() error {
	flags := flag.NewFlagSet("control-plane", flag.ExitOnError)
	dir := flags.String("dir", "", "where data, keys and the kubeconfig are kept (required)")
	address := flags.String("address", loopback, "address of the API server")
	port := flags.Int("port", 0, "port of the API server; 0 takes a free one")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("--dir is required")
	}
	absolute, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	return serve(untilToldToEnd(), absolute, *address, *port)
}

func serve(ctx context.Context, dir, address string, port int) error {
	credentials, err := loadOrCreateCredentials(dir)
	if err != nil {
		return err
	}
	listener, err := listen(address, port)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(dir)
	if err != nil {
		return err
	}
	// Not etcd.Close: that waits seconds for clients that are in this process.
	defer etcd.Server.Stop()

	audit, err := auditFlags(dir)
	if err != nil {
		return err
	}
	options, err := apiServerOptions(ctx, listener, slices.Concat(
		apiServerFlags(credentials, etcdURL(dir)), addressFlags(address), audit,
	))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- runAPIServer(ctx, options)
	}()

	server := "https://" + listener.Addr().String()
	if err := announce(ctx, dir, server, credentials); err != nil && ctx.Err() == nil {
		return fmt.Errorf("announce: %w", err)
	}
	return <-ended
}
