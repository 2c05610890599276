//go:build tools

// Package kube pins the Kubernetes that hack/cluster builds and runs; nothing imports it.
// Blank imports (of main packages, hence the build tag) keep `go mod tidy` from dropping the modules that the commands need.
package kube

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
