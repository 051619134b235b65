{{- define "stowage.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "stowage.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "stowage.labels" -}}
{{ include "stowage.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "stowage.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* The settings, with those that follow from the ingress unless they are given. */}}
{{- define "stowage.settings" -}}
{{- $implied := dict }}
{{- if .Values.ingress.enabled }}
{{- $scheme := ternary "https" "http" (ne .Values.ingress.tlsSecret "") }}
{{- $implied = dict "TRUST_FORWARDED" "yes" "PUBLIC_URL" (printf "%s://%s" $scheme .Values.ingress.host) }}
{{- end }}
{{- range $name, $value := merge (dict) .Values.settings $implied }}
- {{ printf "--var=%s=%s" $name $value | quote }}
{{- end }}
{{- end }}
