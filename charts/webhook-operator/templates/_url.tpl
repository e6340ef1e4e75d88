{{/* Base URL of trigger URLs: `externalUrl`, or derived from the chart's Ingress or HTTPRoute. */}}

{{- define "webhook-operator.externalUrl" -}}
{{- if .Values.externalUrl -}}
{{- .Values.externalUrl | trimSuffix "/" -}}
{{- else if .Values.ingress.enabled -}}
{{- include "webhook-operator.ingressUrl" . -}}
{{- else if .Values.httpRoute.enabled -}}
{{- include "webhook-operator.httpRouteUrl" . -}}
{{- else -}}
{{- include "webhook-operator.serviceUrl" . -}}
{{- end -}}
{{- end -}}

{{- define "webhook-operator.ingressUrl" -}}
{{- $first := first .Values.ingress.hosts -}}
{{- if or (empty $first.host) (hasPrefix "*" $first.host) -}}
{{- fail "externalUrl: must be set, because the first of ingress.hosts names no single host" -}}
{{- end -}}
{{- $fits := empty $first.paths -}}
{{- range $first.paths -}}
{{- if has .path (list "/" "/apps" "/apps/") }}{{ $fits = true }}{{ end -}}
{{- end -}}
{{- if not $fits -}}
{{- fail "externalUrl: must be set, because no path of the first of ingress.hosts is / or /apps/" -}}
{{- end -}}
{{- $scheme := "http" -}}
{{- $wildcard := regexReplaceAll "^[^.]+" $first.host "*" -}}
{{- range .Values.ingress.tls -}}
{{- if or (empty .hosts) (has $first.host .hosts) (has $wildcard .hosts) }}{{ $scheme = "https" }}{{ end -}}
{{- end -}}
{{- printf "%s://%s" $scheme $first.host -}}
{{- end -}}

{{- define "webhook-operator.httpRouteUrl" -}}
{{- $first := first .Values.httpRoute.hostnames -}}
{{- if or (empty $first) (hasPrefix "*" $first) -}}
{{- fail "externalUrl: must be set, because the first of httpRoute.hostnames names no single host" -}}
{{- end -}}
{{- printf "https://%s" $first -}}
{{- end -}}

{{/* Reachable only in the cluster. */}}
{{- define "webhook-operator.serviceUrl" -}}
{{- $scheme := include "webhook-operator.scheme" . -}}
{{- $host := printf "%s.%s.svc" (include "webhook-operator.fullname" .) .Release.Namespace -}}
{{- $port := int .Values.service.port -}}
{{- $usual := ternary 443 80 (eq $scheme "https") -}}
{{- printf "%s://%s" $scheme $host -}}
{{- if ne $port $usual }}:{{ $port }}{{ end -}}
{{- end -}}

{{- define "webhook-operator.appApiUrl" -}}
{{- printf "http://%s-app-api.%s.svc:8081" (include "webhook-operator.fullname" .) .Release.Namespace -}}
{{- end -}}
