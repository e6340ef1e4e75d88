package main

import (
	"fmt"
	"path/filepath"
)

const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %q}
clusterCIDR: %s
mode: iptables
hostnameOverride: %s
# The size of that table belongs to the machine.
conntrack: {maxPerCore: 0}
`

func startProxy(dir string, programs children) error {
	config := filepath.Join(dir, "config", "kube-proxy.yaml")
	content := fmt.Sprintf(proxyConfig, kubeconfigPath(dir), podCIDR, nodeName)
	if err := writeConfig(config, content); err != nil {
		return err
	}
	return programs.start("kube-proxy", self("kube-proxy", "--config="+config))
}
