package main

import (
	"fmt"
	"path/filepath"
)

const clusterDomain = "cluster.local"

// No name outside of the cluster exists: the tests need none, and a resolver
// that were asked for one would take its time.
const corefile = `%[1]s {
    bind %[2]s
    errors
    kubernetes {
        kubeconfig %[3]s
    }
}
. {
    bind %[2]s
    errors
    template ANY ANY {
        rcode NXDOMAIN
    }
}
`

func startDNS(dir string, programs children) error {
	config := filepath.Join(dir, "config", "Corefile")
	content := fmt.Sprintf(corefile, clusterDomain, nodeIP, kubeconfigPath(dir))
	if err := writeConfig(config, content); err != nil {
		return err
	}
	return programs.start("coredns", self("coredns", "-conf", config))
}
