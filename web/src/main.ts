import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { now } from './lib/now.svelte';
import { session } from './lib/session.svelte';
import { settings } from './lib/settings.svelte';

settings.apply();
now.start();
void session.load();

const target = document.getElementById('app');
if (target) mount(App, { target });
